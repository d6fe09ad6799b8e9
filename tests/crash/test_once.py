"""F11: two web servers, two workers, two beats and an impatient editor make one send."""

import http.client
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from crash.programs import program
from factories import audience, cli, staff
from factories.issues import issue
from factories.publications import publication
from journeys.house import free_port
from sqlalchemy import select

from newsletter import delivery
from newsletter import staff as people
from newsletter.delivery.models import Send
from newsletter.staff import Role

READERS = 300
CLICKS = 50


def asked(port, method, path, *, key, form=None):
    """One request of the editor's browser; the status, where it leads, and the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Cookie": f"newsletter-session={key}", "Sec-Fetch-Site": "same-origin"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body=urllib.parse.urlencode(form) if form is not None else None, headers=headers)
    response = connection.getresponse()
    found = response.status, response.headers.get("Location"), response.read().decode()
    connection.close()
    return found


def hidden_fields(page, path):
    (form,) = re.findall(rf'<form[^>]*action="{path}"[^>]*>(.*?)</form>', page, re.DOTALL)
    fields = re.findall(r'<input[^>]*type="hidden"[^>]*>', form)
    return {re.search(r'name="([^"]*)"', one)[1]: re.search(r'value="([^"]*)"', one)[1] for one in fields}


def test_fifty_clicks_on_two_web_servers_with_two_beats_and_two_workers_are_one_send(trial, database, tmp_path):
    send = trial()
    with database.transaction() as session:
        title = publication(session)
        approved = issue(session, title, approved=True)
        key = people.start(session, staff.member(session, role=Role.EDITOR, password=staff.PASSWORD).id)
    audience.many(database, READERS, title.id)
    path = f"/studio/issues/{approved.id}/send"
    ports = [free_port(), free_port()]
    with ExitStack() as running:
        running.enter_context(cli.broker(tmp_path))
        for words in (*(("web", "--port", str(port)) for port in ports), *2 * [("worker",)], *2 * [("beat",)]):
            running.enter_context(program(send.settings, *words))
        for port in ports:
            cli.eventually(lambda port=port: answers(port), seconds=40)
        status, _, page = asked(ports[0], "GET", path, key=key)
        assert status == 200
        form = hidden_fields(page, path)
        with ThreadPoolExecutor(CLICKS) as editor:
            clicks = [editor.submit(asked, ports[n % 2], "POST", path, key=key, form=form) for n in range(CLICKS)]
        ((status, leads_to),) = {click.result()[:2] for click in clicks}
        assert (status, leads_to.rpartition("/")[0]) == (303, "/studio/sends"), "every click leads to the same send"
        with database.read() as session:
            (send.send_id,) = session.scalars(select(Send.id))
        send.relay.wait_for(READERS)
        cli.eventually(lambda: complete(database, send.send_id))
    assert send.settled().accepted == READERS
    assert len(send.relay.record) == READERS


def answers(port):
    try:
        return asked(port, "GET", "/healthz", key="")[0] == 200
    except OSError:
        return False


def complete(database, send_id):
    with database.read() as session:
        return delivery.status(session, send_id).state is delivery.SendState.COMPLETE
