"""The sandbox's mail server: it keeps messages, shows them safely, and remembers them."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.local.folder import CHECKOUT, free_port
from deploy.sandbox.mailbox import KEPT, Mailbox
from tests.waiting import eventually


class Running:
    """A mail catcher in a process of its own."""

    def __init__(self, store: Path) -> None:
        self.smtp, self.http = free_port(), free_port()
        ports = [f"--smtp-port={self.smtp}", f"--http-port={self.http}", f"--store={store}"]
        self.process = subprocess.Popen([sys.executable, "-m", "deploy.sandbox.mail_catcher", *ports], cwd=CHECKOUT)
        eventually(self.answers, within_s=60)

    def answers(self) -> bool:
        try:
            return bool(self.get("/livez")[0])
        except OSError:
            return False

    def get(self, path: str) -> tuple[str, dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=30) as answer:
            return answer.read().decode(), dict(answer.headers)

    def send(self, message: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=30) as server:
            server.send_message(message)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "mail.jsonl"


@pytest.fixture
def catcher(store: Path) -> Iterator[Running]:
    running = Running(store)
    yield running
    running.stop()


def message(subject: str, text: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"] = "sural@clinic.example", "doctor@clinic.example"
    made["Subject"], made["Message-ID"] = subject, "<delivery-6613@sural.example>"
    made.set_content(text)
    return made


def test_a_sent_message_can_be_read_as_data_and_survives_a_restart(catcher: Running, store: Path) -> None:
    catcher.send(message("Emergency: Fußpuls", "Call now.\n"))

    (caught,) = json.loads(catcher.get("/messages")[0])["messages"]
    assert caught["subject"] == "Emergency: Fußpuls"
    assert caught["recipients"] == ["doctor@clinic.example"]
    assert caught["message_id"] == "<delivery-6613@sural.example>"
    assert caught["text"].strip() == "Call now."
    assert [kept.subject for kept in Mailbox(store).messages()] == ["Emergency: Fußpuls"]
    assert store.stat().st_mode & 0o777 == 0o600


def test_the_inbox_shows_markup_as_text_and_addresses_as_links(catcher: Running) -> None:
    catcher.send(message("<img src=x>", 'Open http://127.0.0.1:8000/worklist?a=1&b=2 <script>alert("x")</script>'))

    page, headers = catcher.get("/")

    assert "&lt;img src=x&gt;" in page
    assert "<script" not in page
    assert 'href="http://127.0.0.1:8000/worklist?a=1&amp;b=2"' in page
    assert "these messages were caught here and reached nobody" in page
    policy = next(value for name, value in headers.items() if name.lower() == "content-security-policy")
    assert policy.startswith("default-src 'none'; style-src 'self'")


def test_only_the_newest_thousand_messages_are_kept(store: Path) -> None:
    mailbox = Mailbox(store)
    for number in range(2 * KEPT + 2):
        mailbox.add(
            f"Subject: {number}\n\nText\n".encode(),
            sender="a@clinic.example",
            recipients=["b@clinic.example"],
        )

    assert [kept.subject for kept in mailbox.messages()[:1]] == [str(KEPT + 2)]
    assert len(store.read_text().splitlines()) <= 2 * KEPT
    assert Mailbox(store).messages() == mailbox.messages()


def test_a_line_cut_short_by_a_crash_costs_only_that_message(store: Path) -> None:
    Mailbox(store).add(b"Subject: whole\n\nText\n", sender="", recipients=[])
    with store.open("a") as file:
        file.write('{"received": "2026-')

    assert [kept.subject for kept in Mailbox(store).messages()] == ["whole"]
