from newsletter.kit.paging import cut


def test_a_page_tells_where_the_next_one_begins():
    rows = list(range(10, 0, -1))
    page = cut(rows[:4], 3, lambda row: row)
    assert list(page.rows) == [10, 9, 8]
    assert page.next_after == 8


def test_the_last_page_has_no_next():
    assert cut([3, 2, 1], 3, lambda row: row).next_after is None
    assert cut([], 3, lambda row: row).next_after is None
