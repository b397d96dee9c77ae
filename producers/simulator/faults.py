"""Misbehaviour on request: what a test or an operator may ask of the simulator, and what is in force."""

from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

MalformedFrames: Final = (b'[{"ev":"T","sym":"AAPL","p":1', b"not json", b'{"ev":"T","sym":"AAPL"}', b'[1,"x",null]')
UnknownEvents: Final = (
    b'{"ev":"NOI","T":"NTEST.Q","t":1601318039223013600,"at":930,"a":"M","i":44,"x":10,"o":480,"p":440,"b":25.03}',
    b'{"ev":"XYZ","sym":"AAPL","value":1}',
)
SymbolLess: Final = (
    b'{"ev":"T","x":4,"i":"1","z":3,"p":10.5,"s":100,"t":1536036818784,"q":1}',
    b'{"ev":"A","v":200,"av":8642007,"o":25.39,"c":25.39,"h":25.39,"l":25.39,"s":1610144868000,"e":1610144869000}',
    b'{"ev":"LULD","h":218.96,"l":198.11,"i":[21],"z":3,"t":1601316752683,"q":290317}',
)


class FaultRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of `POST /control/faults`; every field given takes effect, the others stay as they are.

    At once, on the connections there are: `drop` aborts them, `close` closes them politely with a
    code, `silence_s` keeps them mute for so long, `malformed`, `unknown_event` and `no_symbol` send
    so many bad frames or events to each. Until changed: `refuse_login`, `max_connections_close`
    (close code of a connection too many), `market` (null: as its clock says), `rest_delay_s`, `rest_garbage`.
    Counted down: `drop_during_auth` connections, `rest_times` answers with `rest_status` (and `retry_after_s`).
    `reset` ends everything in force first.
    """

    reset: bool = False
    drop: bool = False
    close: int | None = None
    silence_s: float | None = None
    malformed: int = 0
    unknown_event: int = 0
    no_symbol: int = 0
    refuse_login: bool | None = None
    drop_during_auth: int | None = None
    max_connections_close: int | None = None
    market: Literal["open", "closed"] | UnsetType | None = UNSET
    rest_status: int | None = None
    rest_times: int = 1
    retry_after_s: float | None = None
    rest_delay_s: float | None = None
    rest_garbage: bool | None = None


class Faults(Struct):
    """What is in force now; the defaults are good behaviour."""

    refuse_login: bool = False
    drop_during_auth: int = 0
    max_connections_close: int = 1008
    market: Literal["open", "closed"] | None = None
    rest_status: int = 0
    rest_times: int = 0
    retry_after_s: float | None = None
    rest_delay_s: float = 0.0
    rest_garbage: bool = False

    def reset(self) -> None:
        """Behave well again."""
        fresh = Faults()
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))

    def apply(self, request: FaultRequest) -> None:
        """Put the lasting part of a request in force."""
        if request.reset:
            self.reset()
        for name in ("refuse_login", "drop_during_auth", "max_connections_close", "rest_delay_s", "rest_garbage"):
            value = getattr(request, name)
            if value is not None:
                setattr(self, name, value)
        if request.market is not UNSET:
            self.market = request.market
        if request.rest_status is not None:
            self.rest_status, self.rest_times = request.rest_status, request.rest_times
            self.retry_after_s = request.retry_after_s

    def take_auth_drop(self) -> bool:
        """Whether this login is to be cut off."""
        if self.drop_during_auth <= 0:
            return False
        self.drop_during_auth -= 1
        return True

    def take_rest_status(self) -> int | None:
        """The error status that this REST answer is to have, if any."""
        if self.rest_times <= 0:
            return None
        self.rest_times -= 1
        return self.rest_status
