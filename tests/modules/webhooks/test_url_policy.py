"""The targets that webhooks may have: public addresses only, however they are spelled."""

from ipaddress import ip_address

import pytest

from ticketing.modules.webhooks.url_policy import check_url, is_public

PRIVATE = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::64",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_accepted(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https://",
        "https:///path",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://@example.com/",
        "https://example.com/#part",
        "https://example.com/ a",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\n",
        "https://example.com/\0",
        "https://example.com/\ud800",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "https://printer/",
        "https://db.internal/",
        "https://metadata.google.internal/",
        "https://nas.local/",
        "https://example.com./",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::169.254.169.254]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_a_malformed_or_private_url_is_refused_with_advice(url: str) -> None:
    with pytest.raises(ValueError, match=r"^Use .*\.$"):
        check_url(url, allow_http=False, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?tenant=1",
        "https://hooks.example.co.uk:8443/a/b",
        "https://bücher.example/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
        "https://1password.com/",
        "https://localhost.example.com/",
    ],
)
def test_a_public_url_is_accepted(url: str) -> None:
    check_url(url, allow_http=False, allow_private=False)


def test_http_needs_development_and_private_addresses_need_a_setting() -> None:
    check_url("http://example.com/", allow_http=True, allow_private=False)
    check_url("http://127.0.0.1:8080/hooks", allow_http=True, allow_private=True)
    with pytest.raises(ValueError, match="public internet"):
        check_url("http://127.0.0.1:8080/hooks", allow_http=True, allow_private=False)
    with pytest.raises(ValueError, match="https"):
        check_url("http://localhost/", allow_http=False, allow_private=True)
