"""Settings: what is taken from the environment, what is refused, what stays hidden."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.settings import PREFIX, Settings, Source

FOREIGN_NAMES = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MASSIVE_API_KEY", "POLYGON_API_KEY")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them."""
    import os

    for name in list(os.environ):
        if name.startswith(PREFIX) or name in FOREIGN_NAMES:
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_what_it_means(name: str) -> None:
    assert Settings.model_fields[name].description


def test_a_switch_overrides_the_environment_which_overrides_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().http_port == 8000
    monkeypatch.setenv("TAPEREADER_HTTP_PORT", "8001")
    assert Settings.load().http_port == 8001
    assert Settings.load(http_port=None).http_port == 8001
    assert Settings.load(http_port=8002).http_port == 8002


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        pytest.param("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers", id="kafka"),
        pytest.param("TAPEREADER_KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers", id="kafka-prefixed"),
        pytest.param("REDIS_URL", "redis_url", id="redis"),
        pytest.param("TAPEREADER_REDIS_URL", "redis_url", id="redis-prefixed"),
    ],
)
def test_the_fields_names_that_the_world_uses_are_read_too(
    monkeypatch: pytest.MonkeyPatch, variable: str, field: str
) -> None:
    monkeypatch.setenv(variable, "example:1234")
    assert getattr(Settings.load(), field) == "example:1234"


@pytest.mark.parametrize("variable", ["MASSIVE_API_KEY", "POLYGON_API_KEY", "TAPEREADER_MASSIVE_API_KEY"])
def test_the_vendors_key_is_read_and_never_shown(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "k-123456")
    settings = Settings.load()
    assert settings.api_key() == "k-123456"
    assert "k-123456" not in repr(settings) + str(settings.model_dump(mode="json"))


def test_the_vendors_key_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k-123456\n", encoding="utf-8")
    assert Settings.load(massive_api_key_file=path).api_key() == "k-123456"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        pytest.param("TAPEREADER_HTTP_PORT", "70000", "TAPEREADER_HTTP_PORT = '70000'", id="out-of-range"),
        pytest.param("TAPEREADER_WORKERS", "two", "TAPEREADER_WORKERS = 'two'", id="no-number"),
        pytest.param("TAPEREADER_SOURCE", "polygon", "TAPEREADER_SOURCE = 'polygon'", id="no-choice"),
        pytest.param("TAPEREADER_HTTP_PROT", "1", "TAPEREADER_HTTP_PROT is not a setting", id="misspelt"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=r"^TAPEREADER_") as refused:
        Settings.load()
    assert said in str(refused.value)


@given(
    workers=st.integers(1, 64),
    speed=st.floats(0.001, 3600),
    source=st.sampled_from(Source),
    subscriptions=st.lists(st.sampled_from(["A.*", "T.*", "Q.*", "T.AAPL"]), min_size=1),
    codes=st.lists(st.integers(1, 99)),
    analyzers=st.lists(st.sampled_from(["mine.gaps:app", "mine.runs:app"])),
    json=st.sampled_from([None, True, False]),
    key=st.sampled_from([None, "secret-1"]),
)
def test_the_environment_of_a_child_process_gives_the_same_settings(
    workers: int,
    speed: float,
    source: Source,
    subscriptions: list[str],
    codes: list[int],
    analyzers: list[str],
    json: bool | None,
    key: str | None,
) -> None:
    settings = Settings.load(
        workers=workers,
        speed=speed,
        source=source,
        subscriptions=tuple(subscriptions),
        resuming_codes=tuple(codes),
        halting_codes={code: f'"{code}", a halt' for code in codes},
        analyzers=tuple(analyzers),
        log_json=json,
        massive_api_key=key,
        gateway_api_key=key,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.as_environment().items():
            patch.setenv(name, value)
        assert Settings.load() == settings


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().workers = 2
