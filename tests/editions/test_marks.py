from newsletter.editions.marks import Mark, Marks


def test_the_same_place_has_the_same_mark():
    marks = Marks("seed")
    assert marks.token("leave_token") == marks.token("leave_token")
    assert marks.field("first_name", "reader") != marks.field("first_name", "friend")
    assert marks.token("leave_token").isalnum()


def test_a_document_is_cut_at_its_marks():
    marks = Marks("seed")
    document = f"{marks.token('leave_token')}a{marks.field('first_name', 'reader')}{marks.token('leave_token')}b"
    leave, name = Mark("leave_token"), Mark("field:first_name", "reader")
    assert list(marks.cut(document)) == [leave, "a", name, leave, "b"]


def test_a_mark_of_another_edition_is_a_word_like_any_other():
    other = Marks("another").token("leave_token")
    assert list(Marks("seed").cut(f"a {other} b")) == [f"a {other} b"]
