"""Policies as data: by name, to JSON and back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirada.errors import UsageError
from mirada.image.policy import POLICIES, Policy, find_policy


def policies() -> st.SearchStrategy[Policy]:
    shares = st.lists(st.floats(0.01, 1), min_size=2, max_size=2).map(lambda pair: (min(pair), max(pair)))
    return st.builds(
        Policy,
        st.text(max_size=8),
        area=st.none() | shares,
        turn=st.floats(0, 180),
        tilt=st.floats(0, 0.45),
        mirror=st.floats(0, 1),
        contrast=st.floats(0, 3),
        noise=st.integers(0, 255),
        quality=st.none() | st.integers(1, 100),
        is_trivial=st.booleans(),
        mixup=st.floats(0, 100),
    )


@given(policy=policies() | st.sampled_from(list(POLICIES.values())))
def test_through_json_and_back(policy: Policy) -> None:
    assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


def test_what_is_left_out_is_no_change() -> None:
    assert Policy.from_json({"name": "none"}) == POLICIES["none"] == Policy("none")
    assert Policy.from_json({"turn": 5}) == Policy(turn=5)


def test_names() -> None:
    """Each as it is called, and with the numbers of its source."""
    assert list(POLICIES) == ["none", "light", "standard", "strong", "trivial", "alexnet"]
    assert all(find_policy(name) is policy and policy.name == name for name, policy in POLICIES.items())
    assert POLICIES["standard"].area == (0.08, 1.0)
    assert POLICIES["alexnet"] == Policy("alexnet", inner=0.875, mirror=0.5, lighting=0.1)
    assert POLICIES["trivial"].is_trivial


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("stong", r"there is no policy 'stong': there are none, light, .*\. Did you mean 'strong'\?$"),
        ("7", r"there is no policy '7': .*, alexnet\.$"),
    ],
)
def test_an_unknown_name(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_policy(name)


BAD: list[tuple[object, str]] = [
    (["turn", 5], "a policy is an object with fields"),
    ("light", "a policy is an object with fields, got 'light'"),
    ({"rotate": 5}, "a policy has no 'rotate': it has area, aspect, "),
    ({"turn": 5, "Turn": 5}, "a policy has no 'Turn'"),
    ({"turn": 181}, "policy: turn: expected a number from 0 to 180, got 181"),
    ({"turn": -1}, "policy: turn: expected a number from 0 to 180, got -1"),
    ({"turn": float("nan")}, "policy: turn: "),
    ({"turn": "5"}, "policy: turn: expected a number from 0 to 180, got '5'"),
    ({"turn": True}, "policy: turn: "),
    ({"turn": None}, "policy: turn: "),
    ({"turn": 10**400}, "policy: turn: expected a number from 0 to 180"),
    ({"shear": 50}, "policy: shear: expected a number from 0 to 40"),
    ({"inner": 1.5}, "policy: inner: expected a share above 0 and up to 1"),
    ({"inner": 0.5, "area": [0.5, 1]}, "policy: inner: .* and no area"),
    ({"mirror": 1.5}, "policy: mirror: expected a number from 0 to 1, got 1.5"),
    ({"tilt": 0.6}, "policy: tilt: expected a number from 0 to 0.45"),
    ({"area": 0.5}, "policy: area: expected two numbers"),
    ({"area": [0.5]}, "policy: area: expected two numbers"),
    ({"area": [0.5, "1"]}, "policy: area: expected two numbers"),
    ({"area": [0, 1]}, "policy: area: expected shares above 0 and up to 1"),
    ({"area": [0.9, 0.5]}, "policy: area: .* the least first"),
    ({"area": [0.5, 1.1]}, "policy: area: "),
    ({"quality": 0}, "policy: quality: expected a whole number from 1 to 100"),
    ({"quality": 50.5}, "policy: quality: "),
    ({"is_trivial": "yes"}, "policy: is_trivial: expected true or false"),
    ({"name": 3}, "policy: name: expected text"),
]


@pytest.mark.parametrize(("values", "says"), BAD)
def test_what_is_refused(values: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Policy.from_json(values)


def test_every_number_has_its_range() -> None:
    """None is forgotten: below 0 and far above all are refused, by name."""
    numbers: dict[str, Any] = {
        name: value for name, value in Policy().to_json().items() if isinstance(value, float) and name != "name"
    }
    assert len(numbers) == 20
    for name in numbers:
        for value in (-0.01, 1_000.0):
            with pytest.raises(ValueError, match=f"^{name}: "):
                Policy(**{name: value})


@pytest.mark.parametrize("name", POLICIES)
def test_without_mirror(name: str) -> None:
    """All else stays."""
    policy = POLICIES[name].without_mirror()
    assert (policy.mirror, policy.flip) == (0, 0)
    assert {**policy.to_json(), "mirror": 0, "flip": 0} == {**POLICIES[name].to_json(), "mirror": 0, "flip": 0}
