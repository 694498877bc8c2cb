from strongroom.audit.report import MOST, Findings, Problem


def test_what_is_found_before_the_first_line_concerns_the_whole_log():
    found = Findings()
    found.problem("p")
    found.note("n")
    report = found.report(0, 0, 0)
    assert (report.problems, report.notes, report.first_bad) == ((Problem(0, 0, "p"),), (Problem(0, 0, "n"),), None)


def test_the_first_bad_line_is_the_first_of_the_log_and_not_of_the_list():
    found = Findings()
    for found.segment, found.line in ((2, 1), (1, 9), (1, 0)):
        found.problem("p")
    assert found.report(0, 0, 0).first_bad == (1, 9)


def test_as_many_problems_as_are_kept_are_all_that_is_said():
    found = Findings()
    for found.line in range(1, MOST + 1):
        found.problem("p")
    problems = found.report(0, 0, 0).problems
    assert len(problems) == MOST
    assert problems[-1] == Problem(0, MOST, "p")


def test_problems_beyond_those_are_counted():
    found = Findings()
    for found.line in range(1, MOST + 4):
        found.problem("p")
    problems = found.report(0, 0, 0).problems
    assert len(problems) == MOST + 1
    assert problems[-1] == Problem(0, 0, "3 more problems are not listed")


def test_no_more_notes_than_problems_are_kept():
    found = Findings()
    for number in range(MOST + 1):
        found.note(f"n{number}")
    report = found.report(0, 0, 0)
    assert len(report.notes) == MOST
    assert report.ok
