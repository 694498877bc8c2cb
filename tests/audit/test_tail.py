from strongroom.audit.tail import MORE_LINES, last_revision

STORE = "5" * 32


def test_an_empty_log_knows_no_revision(memory):
    assert last_revision(memory, STORE) is None


def test_the_newest_revision_is_found(memory, start):
    log = start(memory)
    for revision in (3, 4, 5):
        log.record("SET", "A", "ok", revision=revision)
        log.record("GET", "A", "ok")
    assert last_revision(memory, STORE) == 5


def test_two_writers_may_have_logged_in_the_other_order(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=8)
    log.record("GET", "A", "ok")
    log.record("SET", "B", "ok", revision=7)
    assert last_revision(memory, STORE) == 8


def test_the_revisions_of_another_store_do_not_count(memory, start):
    start(memory).record("SET", "A", "ok", revision=5)
    start(memory, store="6" * 32).record("SET", "A", "ok", revision=500)
    assert last_revision(memory, STORE) == 5


def test_what_came_before_an_acceptance_does_not_count(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=9)
    log.record("VERIFY", None, "ok", reason="accept", revision=4)
    assert last_revision(memory, STORE) == 4
    log.record("SET", "A", "ok", revision=5)
    assert last_revision(memory, STORE) == 5


def test_a_name_cannot_look_like_an_acceptance(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=9)
    log.record("SET", '","outcome":"ok","reason":"accept"', "ok", revision=4)
    assert last_revision(memory, STORE) == 9


def test_nothing_is_read_beyond_the_window(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=5)
    for _ in range(MORE_LINES + 5):
        log.record("GET", "A", "ok")
    assert last_revision(memory, STORE) == 5
    assert last_revision(memory, STORE, window=1000) is None


def test_a_write_is_found_when_no_more_than_the_window_lies_behind_it(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=5)
    log.record("GET", "A", "ok")
    behind = len(memory.texts[-1])
    assert last_revision(memory, STORE, window=behind) == 5
    assert last_revision(memory, STORE, window=behind - 1) is None


def test_reading_stops_soon_after_the_newest_write(memory, start):
    log = start(memory)
    for revision in range(1, 500):
        log.record("SET", "A", "ok", revision=revision)
    read = []
    backwards = memory.lines_backwards
    memory.lines_backwards = lambda: (read.append(line) or line for line in backwards())
    assert last_revision(memory, STORE) == 499
    assert len(read) <= MORE_LINES + 2


def test_a_torn_or_forged_line_is_no_error(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=5)
    mine = b',"store":"%b"' % STORE.encode()
    memory.texts += [b'{"id":"x","revision":9' + mine, b'{"revision":"9"' + mine + b"}", b'["revision":' + mine]
    assert last_revision(memory, STORE) == 5


def test_a_revision_behind_a_torn_line_counts(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=5)
    log.record("SET", "B", "ok", revision=6)
    memory.texts[-2:] = [memory.texts[-2][:70] + memory.texts[-1]]
    assert last_revision(memory, STORE) == 6


def test_lines_that_only_look_like_writes_are_no_revision(memory):
    mine = b',"store":"%b"}' % STORE.encode()
    memory.texts = [b'{"revision":"9"' + mine, b'{"revision":' + mine]
    assert last_revision(memory, STORE) == 0


def test_exactly_so_many_lines_more_are_read(memory, start):
    log = start(memory)
    log.record("SET", "A", "ok", revision=8)
    for _ in range(MORE_LINES):
        log.record("SET", "B", "ok", revision=7)
    assert last_revision(memory, STORE) == 8
    log.record("SET", "B", "ok", revision=7)
    assert last_revision(memory, STORE) == 7


def test_the_revision_that_was_found_at_open_counts_and_is_said_once(memory, start):
    log = start(memory, revision=7)
    log.record("GET", "A", "ok")
    assert last_revision(memory, STORE) == 7
    log.rekey({2: b"l" * 32})
    log.record("GET", "A", "ok")
    assert b'"action":"OPEN"' in memory.texts[-2]
    assert b'"revision"' not in memory.texts[-2]
