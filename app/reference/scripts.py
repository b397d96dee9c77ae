"""The steps that must be atomic across processes, as Lua that Redis runs.

The keys of one value: the value itself, a copy that outlives it (`stale`), the mark of a failed
request (`error`: JSON with the attempt's number and a reason) and the lock of the one in flight.
"""

#: Who may make the request? KEYS value, error, lock; ARGV token, lock ms, waited (0|1), refresh (0|1).
#: Answers {'value'}, {'held', ms until the lock runs out}, {'failed', mark} or {'lead', attempt}. A
#: request that failed is tried once more by one that waited for it, and by nobody else while its mark
#: stands. The same token asks again after a lost answer and leads still.
LEAD = """
local holder = redis.call('GET', KEYS[3])
if holder == ARGV[1] then return {'lead', 1} end
if ARGV[4] == '0' and redis.call('EXISTS', KEYS[1]) == 1 then return {'value'} end
if holder then return {'held', redis.call('PTTL', KEYS[3])} end
local mark, attempt = redis.call('GET', KEYS[2]), 1
if mark then
  attempt = cjson.decode(mark).attempt + 1
  if ARGV[3] == '0' or attempt > 2 then return {'failed', mark} end
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
return {'lead', attempt}
"""

#: Keep the lock. KEYS lock; ARGV token, lock ms. A lock that ran out is taken again where nobody has
#: it. Answers 1 where it is ours, 2 where it was taken again, 0 where another one has it.
RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]); return 1 end
if holder then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 2
"""

#: Keep what was fetched. KEYS value, stale, error, lock; ARGV token, data, ttl ms, stale ttl ms (0: the
#: vendor has none, an older value is wrong), channel, message. Kept even where the lock ran out: it is
#: the vendor's answer all the same.
SETTLE = """
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] == '0' then redis.call('DEL', KEYS[2])
else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4]) end
redis.call('DEL', KEYS[3])
if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
"""

#: Mark a failed request. KEYS error, lock; ARGV token, mark, ttl ms, channel, message. Only the lock's
#: holder marks: where another one leads by now, its outcome counts.
FAIL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""

#: Give the lock back without an outcome. KEYS lock; ARGV token, channel, message.
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
"""

#: Take one of the places for requests in flight and reserve a moment within the rate. KEYS next, places
#: (sorted set of lease ends); ARGV ms between requests, burst, longest wait ms, token, places, lease ms.
#: Answers the ms to wait (Redis's own clock, one for all processes), -1 where that is too long, -2 where
#: all places are taken. Places of processes that died come free when their lease ends.
ADMIT = """
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return -2 end
local gap, burst, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[6])
local next = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now - gap * (burst - 1))
local wait = math.max(next - now, 0)
if wait > tonumber(ARGV[3]) then return -1 end
redis.call('SET', KEYS[1], string.format('%.3f', next + gap), 'PX', math.ceil(wait + gap * (burst + 1) + 1000))
redis.call('ZADD', KEYS[2], now + wait + lease, ARGV[4])
redis.call('PEXPIRE', KEYS[2], math.ceil(tonumber(ARGV[3]) + lease))
return math.ceil(wait)
"""

#: The vendor asked for a pause. KEYS next; ARGV ms. Nobody's reservation is before its end.
HOLD_OFF = """
local t = redis.call('TIME')
local till = t[1] * 1000 + t[2] / 1000 + tonumber(ARGV[1])
if till > tonumber(redis.call('GET', KEYS[1]) or 0) then
  redis.call('SET', KEYS[1], string.format('%.3f', till), 'PX', math.ceil(tonumber(ARGV[1]) + 1000))
end
return 1
"""
