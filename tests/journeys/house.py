"""The product as its operator runs it: real processes, talked to by command line, HTTP and mail."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


@dataclass
class House:
    """One installation under one folder, with its settings."""

    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
        mine = {"DATA_DIR": str(self.folder), "BASE_URL": self.base, **self.settings}
        return inherited | {f"NEWSLETTER_{name}": value for name, value in mine.items()}

    def run(self, *words: str, ok: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess:
        """Run a command to its end; ``ok`` says whether it has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "newsletter", *words],
            env=self.environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert (done.returncode == 0) == ok, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str) -> dict:
        return json.loads(self.run(*words, "--json").stdout)

    def start(self, *words: str) -> subprocess.Popen:
        """Start a command that stays."""
        log = (self.folder / f"{words[0]}-{len(self.processes)}.out").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", *words],
            env=self.environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process

    def wait_until_ready(self) -> None:
        self.wait(lambda: self.get("/readyz").status == 200, "the web server is not ready")

    def wait(self, condition, what: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        logs = "\n".join(path.read_text()[-3000:] for path in self.folder.glob("*.out"))
        msg = f"{what} after {seconds} s\n{logs}"
        raise AssertionError(msg)

    def request(self, method: str, url: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """One request without cookies and without following redirects."""
        path = url.removeprefix(self.base)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = urllib.parse.urlencode(form) if form is not None else None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode(errors="replace"))
        connection.close()
        return answer

    def get(self, url: str, **headers: str) -> Answer:
        return self.request("GET", url, **headers)

    def post(self, url: str, form: dict[str, str], **headers: str) -> Answer:
        return self.request("POST", url, form, **headers)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
