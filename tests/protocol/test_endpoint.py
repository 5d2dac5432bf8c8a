"""Where requests may go, what ids may be, and what is never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError
from pipeline.protocol.endpoint import Endpoint, check_base_url, check_id, is_loopback


def check(base_url: str, *allowed: str) -> str:
    return check_base_url(base_url, plain_http_hosts=frozenset(allowed))


@pytest.mark.parametrize(
    "base_url, kept",
    [
        ("https://api.example/v1", "https://api.example/v1"),
        (" https://api.example/v1/ ", "https://api.example/v1"),
        ("https://api.example", "https://api.example"),
        ("HTTPS://API.example/V1/", "https://API.example/V1"),
        ("http://127.0.0.1:8787/v1", "http://127.0.0.1:8787/v1"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:4000/openai/v1", "http://localhost:4000/openai/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_https_and_plain_http_to_loopback_are_accepted(base_url: str, kept: str) -> None:
    assert check(base_url) == kept


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example/v1",
        "http://10.0.0.1/v1",
        "http://0.0.0.0/v1",
        "http://localhost.example/v1",
        "http://127.0.0.1.example/v1",
        "http://[2001:db8::1]/v1",
    ],
)
def test_plain_http_to_another_host_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="is plain http, the key would be readable on the way"):
        check(base_url)


def test_plain_http_is_accepted_for_hosts_that_are_allowed_by_name() -> None:
    assert check("http://Gateway.internal/v1", "gateway.INTERNAL") == "http://Gateway.internal/v1"
    with pytest.raises(ConfigurationError):
        check("http://other.internal/v1", "gateway.internal")


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example/v1",
        "ftp://api.example/v1",
        "https://",
        "https:///v1",
        "http://[",
        "https://[::bad/v1",
        "https://api.example:port/v1",
        "https://api.example:99999/v1",
        "https://api example/v1",
        "https://api.example/v1\n/x",
        "marker-key",
        "htps://user:marker-key@api.example/v1",
        "//api.example/v1?key=marker-key",
    ],
)
def test_what_is_no_url_is_refused_without_being_shown(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an http\(s\) URL: write it like https://HOST/v1") as raised:
        check(base_url)
    assert "marker-key" not in str(raised.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://user:marker-key@api.example/v1",
        "https://marker-key@api.example/v1",
        "https://api.example/v1?key=marker-key",
        "https://api.example/v1#marker-key",
    ],
)
def test_a_base_url_with_a_secret_in_it_is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^the base URL for api\.example must not hold") as raised:
        check(base_url)
    assert "marker-key" not in str(raised.value)


def test_parameters_of_the_profile_come_before_those_of_the_request() -> None:
    endpoint = Endpoint("https://api.example/v1", params=(("api-version", "v 1"),))
    url = endpoint.url(("threads",), [("after", "a&b"), ("include[]", "x[*].y")])
    assert url == "https://api.example/v1/threads?api-version=v%201&after=a%26b&include%5B%5D=x%5B%2A%5D.y"


def test_a_url_without_parameters_has_no_question_mark() -> None:
    assert Endpoint("https://api.example/v1").url(("threads", "t_1")) == "https://api.example/v1/threads/t_1"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_that_is_a_folder_makes_no_url(segment: str) -> None:
    with pytest.raises(ValueError):
        Endpoint("https://api.example/v1").url(("threads", segment, "runs"))


@given(segment=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_id_is_one_segment(segment: str) -> None:
    path = Endpoint.path(("threads", segment, "runs"))
    assert path.count("/") == 3
    assert path.isascii()
    assert not set(path) & set("?#;\\ \n")


def test_every_secret_is_taken_out_of_a_text_the_longest_first() -> None:
    endpoint = Endpoint("https://api.example", secrets=("marker", "marker-key"))
    assert endpoint.redact("marker-key and marker") == "[secret] and [secret]"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.1", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.168.1.1", "localhost.example", "::"])
def test_other_machines_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("value", ["thread_1", "a/b", "a b", "名前", "...", "100%"])
def test_ids_with_odd_signs_are_ids(value: str) -> None:
    assert check_id(value, where="line 1") == value


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "a\tb", "\x00", "\udcff"])
def test_what_cannot_be_a_segment_is_refused_with_its_place(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^line 7: .* cannot be a thread id$"):
        check_id(value, where="line 7")
