"""Who gets in: TLS, certificates of clients, users with passwords, tokens, and files that change.

The clients are curl, so that what is promised is kept for somebody else's TLS.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateways import PATIENCE, Gateway
from servers import wait_until

Serve = Callable[..., Gateway]


def openssl(*arguments: object) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and certificates: an authority, a server, two clients of it, and one of nobody."""
    place = tmp_path_factory.mktemp("papers")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for authority in ("ca", "other-ca"):
        out = ["-keyout", place / f"{authority}.key", "-out", place / f"{authority}.pem"]
        openssl("req", "-x509", *key, *out, "-subj", f"/CN={authority}")
    for name, authority, names in (
        ("server", "ca", "IP:127.0.0.1,DNS:localhost"),
        ("renewed", "ca", "IP:127.0.0.1,DNS:localhost"),
        ("anna", "ca", "DNS:anna.example"),
        ("bert", "ca", "URI:spiffe://example/bert"),
        ("eve", "other-ca", "DNS:anna.example"),
    ):
        request = place / f"{name}.csr"
        openssl(
            "req", *key, "-keyout", place / f"{name}.key", "-out", request, "-subj", f"/CN={name}"
        )
        extensions = place / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        signed = ["-CA", place / f"{authority}.pem", "-CAkey", place / f"{authority}.key"]
        signed += ["-CAcreateserial", "-days", "2", "-extfile", extensions]
        openssl("x509", "-req", "-in", request, *signed, "-out", place / f"{name}.pem")
    return place


def curl(server: Gateway, path: str, *arguments: object) -> tuple[str, str]:
    """Ask with curl; give the status, 000 if there was no answer, and the body."""
    done = subprocess.run(
        ["curl", "-s", "-m", str(PATIENCE), "-w", "\n%{http_code}", *map(str, arguments), path],
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    return status, body


def tls(papers: Path, **more: Any) -> dict[str, Any]:
    """Give a configuration with TLS."""
    files = {"cert_file": f"{papers}/server.pem", "key_file": f"{papers}/server.key"}
    return {"tls_server_config": {**files, **more}}


@pytest.fixture
def config(tmp_path: Path) -> Callable[[object], str]:
    """Write a configuration file, and give the flag for it. JSON is YAML, too."""

    def write(content: object) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        # Renamed into its place, so that it is never there by halves.
        (tmp_path / "web.new").write_text(text)
        (tmp_path / "web.new").rename(tmp_path / "web.yml")
        return f"--web.config.file={tmp_path / 'web.yml'}"

    return write


@pytest.fixture
def tokens(tmp_path: Path) -> Callable[[list[dict[str, Any]]], str]:
    """Write a file of tokens, and give the flag for it."""

    def write(entries: list[dict[str, Any]]) -> str:
        (tmp_path / "tokens.new").write_text(json.dumps(entries))
        (tmp_path / "tokens.new").rename(tmp_path / "tokens.yml")
        return f"--web.tokens.file={tmp_path / 'tokens.yml'}"

    return write


Config = Callable[[object], str]


# Hashes at the lowest cost, by the C library: perl -e 'print crypt("secret", "$2y$04$…")'.
HASHES = {
    "secret": "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "other": "$2b$04$ABCDEFGHIJKLMNOPQRSTUubdTkc8VfDg3xLFFedNQLivmNw6I3T6K",
}


def at(server: Gateway, path: str) -> str:
    """Give an https URL."""
    return f"https://{server.address}{path}"


def test_https_is_spoken_and_only_that(serve: Serve, config: Config, papers: Path) -> None:
    """Who forgets the s is told."""
    server = serve(config(tls(papers)))
    ca = ["--cacert", papers / "ca.pem"]

    status, body = curl(server, at(server, "/metrics"), *ca)

    assert (status, "tallymark_build_info" in body) == ("200", True)
    assert f"https://{server.address}/metrics" in server.said()
    pushed = curl(server, at(server, "/metrics/job/a"), *ca, "--data-binary", "x 1\n")
    assert pushed[0] == "200"
    status, body = curl(server, f"http://{server.address}/metrics")
    assert (status, "https://" in body) == ("400", True)


def test_certificates_may_be_in_the_file_itself(serve: Serve, config: Config, papers: Path) -> None:
    """As text in PEM."""
    cert, key = ((papers / f"server.{kind}").read_text() for kind in ("pem", "key"))
    server = serve(config({"tls_server_config": {"cert": cert, "key": key}}))

    assert curl(server, at(server, "/-/healthy"), "--cacert", papers / "ca.pem")[0] == "200"


@pytest.mark.parametrize(
    ("kind", "nobody", "eve", "anna"),
    [
        ("NoClientCert", "200", "200", "200"),
        ("RequestClientCert", "200", "200", "200"),
        ("RequireAnyClientCert", "000", "200", "200"),
        ("VerifyClientCertIfGiven", "200", "000", "200"),
        ("RequireAndVerifyClientCert", "000", "000", "200"),
    ],
)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_clients_show_the_certificates_that_are_demanded(
    serve: Serve,
    config: Config,
    papers: Path,
    kind: str,
    nobody: str,
    eve: str,
    anna: str,
    version: str,
) -> None:
    """Eve's certificate has the same name, and another authority."""
    verify = {"client_ca_file": f"{papers}/ca.pem"} if "Verify" in kind else {}
    server = serve(config(tls(papers, client_auth_type=kind, **verify)))

    def status(name: str | None) -> str:
        shown = ["--cert", papers / f"{name}.pem", "--key", papers / f"{name}.key"] if name else []
        spoken = [f"--tlsv{version}", "--tls-max", version]
        return curl(server, at(server, "/metrics"), "--cacert", papers / "ca.pem", *spoken, *shown)[
            0
        ]

    assert (nobody, eve, anna) == (status(None), status("eve"), status("anna"))


@pytest.mark.parametrize(
    ("allowed", "one"), [("anna.example", "anna"), ("spiffe://example/bert", "bert")]
)
def test_only_clients_with_an_allowed_name_come_in(
    serve: Serve, config: Config, papers: Path, allowed: str, one: str
) -> None:
    """A name of a host or a URI, signed by the authority."""
    demand = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": f"{papers}/ca.pem",
        "client_allowed_sans": [allowed],
    }
    server = serve(config(tls(papers, **demand)))
    for name in ("anna", "bert", "eve"):
        shown = ["--cert", papers / f"{name}.pem", "--key", papers / f"{name}.key"]
        status, _ = curl(server, at(server, "/metrics"), "--cacert", papers / "ca.pem", *shown)

        assert ("200" if name == one else "000") == status, name


def test_versions_and_suites_are_those_of_the_file(
    serve: Serve, config: Config, papers: Path
) -> None:
    """Named as Go names them."""
    suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    server = serve(config(tls(papers, max_version="TLS12", cipher_suites=[suite])))
    ask = (at(server, "/-/healthy"), "--cacert", papers / "ca.pem", "--tls-max", "1.2")

    assert curl(server, *ask, "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")[0] == "200"
    assert curl(server, *ask, "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256")[0] == "000"
    assert curl(server, *ask[:3], "--tlsv1.3")[0] == "000"


def test_a_renewed_certificate_is_used_at_once(
    serve: Serve, config: Config, papers: Path, tmp_path: Path
) -> None:
    """Also if a link now points to another file."""
    for kind in ("pem", "key"):
        (tmp_path / f"link.{kind}").symlink_to(papers / f"server.{kind}")
    files = {"cert_file": "link.pem", "key_file": "link.key"}
    server = serve(config({"tls_server_config": files}))

    def subject() -> str:
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", server.address],
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        return shown.stdout

    assert "CN = server" in subject()

    for kind in ("pem", "key"):
        (tmp_path / "new").symlink_to(papers / f"renewed.{kind}")
        (tmp_path / "new").rename(tmp_path / f"link.{kind}")

    assert "CN = renewed" in subject()


def test_a_user_needs_the_password_for_every_path(serve: Serve, config: Config) -> None:
    """As with the Prometheus tools; the health included."""
    server = serve(
        config({"basic_auth_users": {"anna": HASHES["secret"], "bert": HASHES["other"]}})
    )
    for path in ("/metrics", "/-/healthy", "/", "/nothing"):
        url = f"http://{server.address}{path}"
        found = {
            user: curl(server, url, *(["-u", user] if user else []))[0]
            for user in ("", "anna:secret", "anna:other", "bert:other", "eve:secret")
        }

        right = "404" if path == "/nothing" else "200"
        assert {
            "": "401",
            "anna:secret": right,
            "anna:other": "401",
            "bert:other": right,
            "eve:secret": "401",
        } == found, path

    refused = server.ask("GET", "/metrics")
    assert refused.headers["www-authenticate"] == "Basic"
    assert server.ask("POST", "/metrics/job/a", "x 1\n").status == 401


PUSH, SCRAPE, ADMIN = "token-that-may-push", "token-that-may-scrape", "token-that-may-administer"
BOUND = "token-that-may-push-one-job"


def test_a_token_may_do_what_its_scopes_say(serve: Serve, tokens: Any) -> None:
    """Health and readiness, and the page without its data, need none."""
    flag = tokens(
        [
            {"token": PUSH, "scopes": ["push"]},
            {"token": SCRAPE, "scopes": ["scrape"]},
            {"token": ADMIN, "scopes": ["admin"]},
            {"token": BOUND, "scopes": ["push"], "job": "backup/nightly"},
        ]
    )
    server = serve(flag, "--web.enable-admin-api")

    def statuses(method: str, path: str, body: str | None = None) -> list[int]:
        named = [{"Authorization": f"Bearer {token}"} for token in (PUSH, SCRAPE, ADMIN, BOUND)]
        headers: list[dict[str, str]] = [{}, {"Authorization": "Bearer not-a-token-at-all"}, *named]
        return [server.ask(method, path, body, **one).status for one in headers]

    assert [401, 401, 200, 403, 403, 403] == statuses("POST", "/metrics/job/a", "x 1\n")
    encoded = "/metrics/job@base64/YmFja3VwL25pZ2h0bHk"
    assert [401, 401, 200, 403, 403, 200] == statuses("PUT", encoded, "x 1\n")
    assert [401, 401, 202, 403, 403, 403] == statuses("DELETE", "/metrics/job/a")
    assert [401, 401, 403, 200, 403, 403] == statuses("GET", "/metrics")
    assert [401, 401, 403, 200, 403, 403] == statuses("GET", "/api/v1/metrics")
    assert [401, 401, 403, 403, 202, 403] == statuses("PUT", "/api/v1/admin/wipe")
    for path in ("/-/healthy", "/-/ready", "/"):
        assert [200] * 6 == statuses("GET", path)

    refused = server.ask("GET", "/metrics", Authorization=f"Bearer {PUSH}")
    assert "may not scrape" in refused.text
    assert server.ask("GET", "/metrics").headers["www-authenticate"] == "Bearer"


def test_a_password_or_a_token_is_enough(serve: Serve, config: Config, tokens: Any) -> None:
    """A user may do everything."""
    users = config({"basic_auth_users": {"anna": HASHES["secret"]}})
    server = serve(users, tokens([{"token": PUSH, "scopes": ["push"]}]))
    url = f"http://{server.address}/metrics"

    assert curl(server, url, "-u", "anna:secret")[0] == "200"
    push = ("--data-binary", "x 1\n")
    assert curl(server, f"{url}/job/a", "-u", "anna:secret", *push)[0] == "200"
    assert curl(server, f"{url}/job/a", "-H", f"Authorization: Bearer {PUSH}", *push)[0] == "200"
    assert curl(server, f"{url}/job/a", *push)[0] == "401"


def test_headers_of_the_file_are_on_every_answer(serve: Serve, config: Config) -> None:
    """Refusals included."""
    server = serve(config({"http_server_config": {"headers": {"X-Frame-Options": "deny"}}}))
    for path in ("/metrics", "/nothing", "/"):
        assert server.ask("GET", path).headers["x-frame-options"] == "deny"


def test_a_file_that_breaks_later_closes_what_it_guarded(serve: Serve, config: Config) -> None:
    """Until it is mended; the log says what is wrong with it."""
    anna = {"basic_auth_users": {"anna": HASHES["secret"]}}
    server = serve(config(anna))
    url = f"http://{server.address}/metrics"

    config("basic_auth_users: {anna: hunter2}\n")

    assert ["500", "500"] == [curl(server, url, *user)[0] for user in ([], ["-u", "anna:secret"])]
    wait_until(lambda: "bcrypt" in server.said(), "the log names the key")
    assert "hunter2" not in server.said()

    config(anna)
    assert ["401", "200"] == [curl(server, url, *user)[0] for user in ([], ["-u", "anna:secret"])]


def test_a_file_that_is_written_in_place_opens_nothing_meanwhile(
    serve: Serve, config: Config, tmp_path: Path
) -> None:
    """It is empty for a moment, which is a good file that asks for no password."""
    anna = {"basic_auth_users": {"anna": HASHES["secret"]}}
    server = serve(config(anna))
    url = f"http://{server.address}/metrics"

    (tmp_path / "web.yml").write_text("")

    assert ["500", "500"] == [curl(server, url, *user)[0] for user in ([], ["-u", "anna:secret"])]
    wait_until(lambda: "basic_auth_users went" in server.said(), "the log says why")

    (tmp_path / "web.yml").write_text(json.dumps(anna))
    assert ["401", "200"] == [curl(server, url, *user)[0] for user in ([], ["-u", "anna:secret"])]


def test_clients_must_show_a_certificate_as_long_as_the_server_runs(
    serve: Serve, config: Config, papers: Path
) -> None:
    """A file that is cut off there still has TLS."""
    demand = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": f"{papers}/ca.pem",
    }
    server = serve(config(tls(papers, **demand)))

    config(tls(papers))

    assert curl(server, at(server, "/metrics"), "--cacert", papers / "ca.pem")[0] == "000"
    wait_until(lambda: "clients' certificates" in server.said(), "the log says why")


def test_tls_does_not_go_away_while_the_server_runs(
    serve: Serve, config: Config, papers: Path
) -> None:
    """A file that lost its section is refused, over TLS."""
    server = serve(config(tls(papers)))

    config({})

    assert curl(server, at(server, "/metrics"), "--cacert", papers / "ca.pem")[0] == "500"
    assert curl(server, f"http://{server.address}/metrics")[0] == "400"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tls_server_config: {cert_flie: x}\n", ["web.yml", "cert_flie"]),
        ("tls_server_config: {min_version: TLS10}\n", ["min_version", "TLS12"]),
        ("basic_auth_users: {anna: hunter2}\n", ["anna", "bcrypt", "htpasswd"]),
    ],
)
def test_a_file_that_is_broken_at_the_start_ends_it_with_1(
    tallymark: str, config: Config, content: str, words: list[str]
) -> None:
    """And names the file, the key, and what to do."""
    done = subprocess.run(
        [tallymark, "serve", config(content)], capture_output=True, text=True, timeout=PATIENCE
    )

    assert (1, "") == (done.returncode, done.stdout)
    for word in words:
        assert word in done.stderr
    assert "hunter2" not in done.stderr
