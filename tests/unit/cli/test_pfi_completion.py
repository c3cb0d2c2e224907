"""Shell completion: `pfi` run as a shell runs it when somebody presses Tab."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_api import container, node
from test_pfi_deployments import stored

from pathfinder.embedded.ports import free_port

NAMES = {
    "containers": [container("web-01"), container("db-01")],
    "nodes": [node("node-01"), node("node-02")],
    "deployments": [stored("web"), stored("db")],
}


class Answering(BaseHTTPRequestHandler):
    """Lists of containers, nodes and deployments, narrowed by prefix."""

    def do_GET(self) -> None:
        """One list."""
        asked = urlsplit(self.path)
        prefix = parse_qs(asked.query).get("prefix", [""])[0]
        items = [
            it for it in NAMES[asked.path.rpartition("/")[2]] if it.get("hostname", it.get("name")).startswith(prefix)
        ]
        body = json.dumps({"items": items, "next_cursor": None}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server with a few names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def tab(shell: str, line: str, url: str, directory: Path) -> str:
    """What `pfi` offers the shell after `line`."""
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    ran = subprocess.run(
        [Path(sys.executable).with_name("pfi")],
        env=os.environ
        | {"PFI_CONFIG": str(directory / "config"), "PFI_SERVER": url, "PFI_TOKEN": "t", "NO_PROXY": "127.0.0.1"}
        | {"_PFI_COMPLETE": f"complete_{shell}"}
        | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_offered_what_can_follow(shell: str, server: str, tmp_path: Path) -> None:
    """A noun that is half typed, an option, and the names the server knows."""
    assert "nodes" in tab(shell, "pfi get no", server, tmp_path)
    assert "--watch" in tab(shell, "pfi get nodes --wa", server, tmp_path)

    offered = tab(shell, "pfi describe container we", server, tmp_path)

    assert "web-01" in offered
    assert "db-01" not in offered


def test_nodes_are_offered_where_a_node_is_wanted(server: str, tmp_path: Path) -> None:
    """And nothing else; deployments likewise."""
    assert tab("bash", "pfi scale deployment w", server, tmp_path).split() == ["web"]
    assert tab("bash", "pfi cordon node ", server, tmp_path).split() == ["node-01", "node-02"]


def test_a_server_that_is_not_there_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    """A half-typed line is no place for an error message."""
    assert tab("bash", "pfi cordon node ", f"http://127.0.0.1:{free_port(23950)}", tmp_path).strip() == ""
