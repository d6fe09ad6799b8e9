import gzip
import re

from newsletter.web.statics import FOLDER, Statics


def test_a_files_address_changes_with_its_content(tmp_path):
    (tmp_path / "a.css").write_text("a{}")
    before = Statics.load(tmp_path).url("a.css")
    (tmp_path / "a.css").write_text("b{}")
    after = Statics.load(tmp_path).url("a.css")
    assert before != after
    assert re.fullmatch(r"/static/a\.[0-9a-f]{12}\.css", after)


def test_files_are_kept_for_a_year_and_compressed_for_those_who_can(visitor, app):
    url = app.state.site.statics.url("studio.css")
    plain = visitor.get(url, **{"accept-encoding": "identity"})
    packed = visitor.client.get(url, headers={"accept-encoding": "gzip"})
    assert plain.content == packed.content == (FOLDER / "studio.css").read_bytes()
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    for response in (plain, packed):
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["content-type"].startswith("text/css")


def test_nothing_else_can_be_read(visitor):
    for name in ("app.py", "../app.py", "%2e%2e%2fapp.py", "studio.css", "..%2F..%2Fconfig.py", "a/b"):
        assert visitor.get(f"/static/{name}").status_code == 404


def test_styles_and_scripts_are_small():
    """The budgets: 12 kB of compressed styles and 10 kB of scripts for the studio, 6 kB of styles for readers."""
    assert len(gzip.compress((FOLDER / "studio.css").read_bytes())) <= 12_000
    assert len(gzip.compress((FOLDER / "reader.css").read_bytes())) <= 6_000
    assert sum(len(path.read_bytes()) for path in FOLDER.glob("*.js")) <= 10_000
