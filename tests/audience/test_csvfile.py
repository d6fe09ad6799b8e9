import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.csvfile import MAX_LINE, TOO_LONG, UNCLOSED, Record, read
from newsletter.audience.formulas import guard, unguard


def _cells(data: bytes) -> list[list[str]]:
    return [record.cells for record in read(io.BytesIO(data))]


TEXT = "email;name\nana@example.org;Müller\nben@example.org;O'Brien — “ok”\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_in_use_is_read(encoding, ending):
    assert _cells(TEXT.replace("\n", ending).encode(encoding)) == [
        ["email", "name"],
        ["ana@example.org", "Müller"],
        ["ben@example.org", "O'Brien — “ok”"],
    ]


def test_one_line_in_another_encoding_does_not_spoil_the_rest():
    data = "email\nMüller\n".encode() + "Müller\n".encode("latin-1") + "Łódź\n".encode() + b"\x81\n"
    assert _cells(data) == [["email"], ["Müller"], ["Müller"], ["Łódź"], ["\x81"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_in_the_header(delimiter):
    data = f'email{delimiter}"last, first; more"{delimiter}city\na@example.org{delimiter}"x"{delimiter}y\n'
    assert _cells(data.encode())[1] == ["a@example.org", "x", "y"]


def test_a_first_line_may_name_the_delimiter():
    records = list(read(io.BytesIO(b"sep=;\nemail;name\na@example.org;Ana, Maria\n")))
    assert records == [Record(2, ["email", "name"]), Record(3, ["a@example.org", "Ana, Maria"])]


def test_records_are_numbered_as_a_spreadsheet_numbers_them():
    data = b'email,note\n\na@example.org,"two\nlines"\n , \nb@example.org,\n'
    assert [(record.number, record.cells) for record in read(io.BytesIO(data))] == [
        (1, ["email", "note"]),
        (3, ["a@example.org", "two\nlines"]),
        (5, ["b@example.org", ""]),
    ]


def test_an_open_quotation_mark_costs_its_own_line_only():
    data = b'email,name\na@example.org,"Ann\nb@example.org,Ben\nc@example.org,"C"\nd@example.org,"Dan\n'
    records = list(read(io.BytesIO(data)))
    assert [(record.number, record.problem) for record in records if record.problem] == [(2, UNCLOSED), (5, UNCLOSED)]
    assert [record.cells for record in records if not record.problem] == [
        ["email", "name"],
        ["b@example.org", "Ben"],
        ["c@example.org", "C"],
    ]


def test_careless_quotation_marks_are_read_as_spreadsheets_read_them():
    assert _cells(b'email,name\na@example.org,"Jo"hn\nb@example.org,5" disk\nc@example.org,"say ""hi"""\n')[1:] == [
        ["a@example.org", "John"],
        ["b@example.org", '5" disk'],
        ["c@example.org", 'say "hi"'],
    ]


def test_a_line_without_end_is_one_bad_record_in_little_memory():
    class Endless(io.RawIOBase):
        left = 50 * MAX_LINE

        def read(self, size=-1):
            if self.left <= 0:
                return b""
            self.left -= size
            return b"x" * size

    class Chain:
        def __init__(self, *files):
            self.files = list(files)

        def read(self, size):
            while self.files:
                if data := self.files[0].read(size):
                    return data
                self.files.pop(0)
            return b""

    tracemalloc.start()
    records = list(read(Chain(io.BytesIO(b"email\n"), Endless(), io.BytesIO(b"\nb@example.org\n"))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(record.number, record.cells, record.problem) for record in records] == [
        (1, ["email"], ""),
        (2, [], TOO_LONG),
        (3, ["b@example.org"], ""),
    ]
    assert peak < 20 * MAX_LINE


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(data):
    for record in read(io.BytesIO(data)):
        assert record.problem or record.cells


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12)
ROW = st.lists(CELL, min_size=2, max_size=4).filter(lambda row: any(cell.strip() for cell in row))


@given(st.lists(ROW, max_size=8), st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_what_a_proper_writer_wrote_is_read_back(rows, delimiter, encoding):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["email", "name"])
    writer.writerows(rows)
    assert _cells(text.getvalue().encode(encoding))[1:] == rows


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99)), max_size=30), st.data())
def test_no_good_line_is_lost_to_a_bad_one(lines, data):
    bad = ['x,"oops', '"', "x,y,z\0", "y" * (MAX_LINE + 1), 'a"b"c,"d', "\x1b[2J"]
    text = ["email,name"]
    for good, number in lines:
        text.append(f"r{number}@example.org,Reader {number}" if good else data.draw(st.sampled_from(bad)))
    found = [tuple(cells) for cells in _cells("\n".join(text).encode())[1:]]
    swallowed = sum(len(cells[-1].splitlines()) - 1 for cells in found if cells and "\n" in cells[-1])
    expected = [(f"r{number}@example.org", f"Reader {number}") for good, number in lines if good]
    assert len([cells for cells in found if cells in set(expected)]) >= len(expected) - swallowed


@given(st.text(st.sampled_from("'=+-@\t\r\nab,"), max_size=6))
def test_a_guarded_cell_is_no_formula_and_comes_back_whole(cell):
    assert not guard(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert unguard(guard(cell)) == cell
