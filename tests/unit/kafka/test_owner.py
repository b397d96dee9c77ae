"""Whose the topics are, and whose tables the owner has taken over."""

from hypothesis import given
from hypothesis import strategies as st

from app.kafka.owner import Claim, owner_of, predecessors_in

CLAIMS = st.lists(st.builds(Claim, st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=10)


@given(CLAIMS)
def test_the_first_claim_counts_until_another_takes_over(claims: list[Claim]) -> None:
    """Whoever only claims what is another's has nothing, and leaves nothing to anybody."""
    told = [claim.app_id for at, claim in enumerate(claims) if at == 0 or claim.takes_over]

    assert owner_of(claims) == (told[-1] if told else None)
    assert predecessors_in(claims) == set(told) - {owner_of(claims)}
