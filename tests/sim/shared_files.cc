// SPDX-License-Identifier: GPL-2.0-only
// Files that every client uses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/sim/model.h"
#include "tests/sim/model_check.h"

namespace lull::sim {

namespace {

constexpr size_t kRecordBytes = 48;

std::string record(unsigned client, unsigned number)
{
    char text[kRecordBytes + 1];
    snprintf(text, sizeof text, "%-*s\n", static_cast<int>(kRecordBytes) - 1,
             ("client " + std::to_string(client) + " record " + std::to_string(number)).c_str());
    return text;
}

std::string turn_path(unsigned i) { return "/shared/turn" + std::to_string(i); }
std::string movable_path(unsigned i) { return "/movable/t" + std::to_string(i); }
std::string alias_path(unsigned i) { return "/shared/alias" + std::to_string(i); }

// One operation of a client: sure when there was no doubt from its begin to its end.
class Sureness {
public:
    explicit Sureness(const Trust& trust)
        : trust_(trust), began_(trust.strict()), epoch_(trust.epoch())
    {}
    explicit operator bool() const { return began_ && trust_.strict() && trust_.epoch() == epoch_; }
    void expect(int64_t got, int64_t want, const char* what, const std::string& path) const
    {
        if (*this) expect_equal(got, want, what, path);
    }

private:
    const Trust& trust_;
    bool began_;
    uint64_t epoch_;
};

template <class F> auto sys(F call)
{
    uint64_t interruptions = 0;
    return restarted(call, &interruptions);
}

std::string whole(SimMount& c, const std::string& path, int* err)
{
    std::string data;
    *err = sys([&] {
        int e = 0;
        data = c.get(path, &e);
        return e;
    });
    return data;
}

}  // namespace

void expect_equal(int64_t got, int64_t want, const char* what, const std::string& path)
{
    if (got != want) ADD_FAILURE() << what << " " << path << ": " << got << " instead of " << want;
}

void expect_text(const std::string& got, const std::string& want, const char* what,
                 const std::string& path)
{
    if (got == want) return;
    size_t at = 0;
    while (at < got.size() && at < want.size() && got[at] == want[at]) at++;
    ADD_FAILURE() << what << " " << path << ": " << got.size() << " bytes instead of "
                  << want.size() << ", other than expected from " << at << ": '"
                  << got.substr(at, 20) << "' instead of '" << want.substr(at, 20) << "'";
}

void SharedFiles::make(SimMount& c)
{
    expect_equal(c.mkdir("/shared"), 0, "mkdir", "/shared");
    for (unsigned i = 0; i < kFiles; i++)
        expect_equal(c.put(turn_path(i), ""), 0, "put", turn_path(i));
    expect_equal(c.put("/shared/log", ""), 0, "put", "/shared/log");
    expect_equal(c.mkdir("/movable"), 0, "mkdir", "/movable");
    for (unsigned i = 0; i < kMovable; i++) {
        expect_equal(c.mkdir(movable_path(i)), 0, "mkdir", movable_path(i));
        expect_equal(c.put(movable_path(i) + "/is", std::to_string(i)), 0, "put in",
                     movable_path(i));
    }
    expect_equal(c.sync(), 0, "sync", "/movable");
}

void SharedFiles::step(SimMount& c, const Trust& trust, unsigned client, Rng& rng)
{
    switch (rng.below(12)) {
    case 0:
    case 1:
    case 2: append_record(c, trust, client); break;
    case 3:
    case 4: race(c, trust); break;
    case 5: look_on(c, trust); break;
    case 6: shuffle(c, trust, rng); break;
    default: take_turn(c, trust, client, rng);
    }
    operations++;
}

void SharedFiles::doubt(unsigned client)
{
    records_[client].doubtful = records_[client].appended;
    for (Turn& turn : turns_) turn.unknown = true;
}

void SharedFiles::died(unsigned client)
{
    for (Turn& turn : turns_)
        if (turn.holder == static_cast<int>(client)) turn.holder = kNobody;
    // it may have won, and cannot say so
    if (!races_.empty() && !races_.back().winners) races_.back().unsure = true;
}

// Nobody waits for a turn: its holder may hang.
void SharedFiles::take_turn(SimMount& c, const Trust& trust, unsigned client, Rng& rng)
{
    unsigned i = static_cast<unsigned>(rng.below(kFiles));
    Turn& turn = turns_[i];
    if (turn.holder != kNobody) return;
    turn.holder = static_cast<int>(client);
    Sureness sure(trust);
    bool unknown = turn.unknown;
    int err;
    std::string got = whole(c, turn_path(i), &err);
    sure.expect(err, 0, "read of", turn_path(i));
    Look names = look(c, i);
    if (sure && !unknown) {
        if (!turn.unknown) expect_text(got, turn.content, "read of", turn_path(i));
        if (!turn.unknown) expect_look(names, turn, i);
    } else if (sure && err == 0 && names.err == 0) {
        turn.content = got;
        turn.mode = names.attr.mode & 07777;
        turn.has_alias = names.alias_err == 0;
        turn.unknown = false;
        expect_look(names, turn, i);
    }
    if (!rng.chance(300)) change_turn(c, trust, turn, turn_path(i), rng);
    if (rng.chance(400)) change_names(c, trust, turn, i, rng);
    turn.holder = kNobody;
}

SharedFiles::Look SharedFiles::look(SimMount& c, unsigned i)
{
    Look l;
    llc_attr ignored = {};
    l.err = sys([&] { return c.stat(turn_path(i), &l.attr, false); });
    l.alias_err = sys([&] { return c.stat(alias_path(i), &ignored, false); });
    return l;
}

void SharedFiles::expect_look(const Look& got, const Turn& turn, unsigned i)
{
    expect_equal(got.err, 0, "stat of", turn_path(i));
    expect_equal(got.attr.mode & 07777, turn.mode, "mode of", turn_path(i));
    expect_equal(got.attr.nlink, turn.has_alias ? 2 : 1, "number of names of", turn_path(i));
    expect_equal(got.alias_err, turn.has_alias ? 0 : -kENOENT, "stat of", alias_path(i));
}

void SharedFiles::change_names(SimMount& c, const Trust& trust, Turn& turn, unsigned i, Rng& rng)
{
    Sureness sure(trust);
    if (!sure) turn.unknown = true;
    if (rng.chance(500)) {
        turn.mode = static_cast<unsigned>(0600 | rng.below(0200));
        sure.expect(sys([&] { return c.chmod(turn_path(i), turn.mode); }), 0, "chmod",
                    turn_path(i));
    } else {
        // Another client's doubt may have begun since the look: then its changes may be lost, and
        // nobody knows whether the second name is there.
        bool had = std::exchange(turn.has_alias, !turn.has_alias);
        int err = sys(
            [&] { return had ? c.unlink(alias_path(i)) : c.link(turn_path(i), alias_path(i)); });
        if (!turn.unknown) sure.expect(err, 0, had ? "unlink" : "link", alias_path(i));
    }
    if (!sure) turn.unknown = true;
}

void SharedFiles::change_turn(SimMount& c, const Trust& trust, Turn& turn, const std::string& path,
                              Rng& rng)
{
    Sureness sure(trust);
    if (!sure) turn.unknown = true;
    std::string piece = sample_text(1 + rng.below(30000), rng.next() & 0xffff);
    bool replace = rng.chance(400);
    size_t pos = replace ? 0 : rng.below(turn.content.size() + 1);
    int fd = sys([&] {
        return c.open(path, SimMount::kRead | SimMount::kWrite | (replace ? SimMount::kTrunc : 0));
    });
    if (fd < 0) return turn.unknown |= !sure, sure.expect(fd, 3, "open", path);
    size_t done = 0;
    while (done < piece.size()) {
        int64_t n =
            sys([&] { return c.pwrite(fd, pos + done, piece.data() + done, piece.size() - done); });
        if (n <= 0) {
            sure.expect(n, 1, "pwrite", path);
            break;
        }
        done += static_cast<size_t>(n);
    }
    int err = c.close(fd);
    sure.expect(err, 0, "close", path);
    if (!sure) turn.unknown = true;
    if (replace) turn.content.clear();
    if (turn.content.size() < pos + piece.size()) turn.content.resize(pos + piece.size());
    turn.content.replace(pos, piece.size(), piece);
}

void SharedFiles::append_record(SimMount& c, const Trust& trust, unsigned client)
{
    Sureness sure(trust);
    Records& mine = records_[client];
    std::string r = record(client, mine.appended++);
    if (!sure) mine.doubtful = mine.appended;
    int fd = sys([&] { return c.open("/shared/log", SimMount::kWrite | SimMount::kAppend); });
    if (fd < 0) return sure.expect(fd, 3, "open to append", "/shared/log");
    int64_t n = sys([&] { return c.append(fd, r.data(), r.size()); });
    // an OST was away: the rest would not lie behind it
    bool is_short = n > 0 && n < static_cast<int64_t>(r.size());
    if (is_short) mine.doubtful = mine.appended;
    else sure.expect(n, static_cast<int64_t>(r.size()), "append to", "/shared/log");
    sure.expect(c.close(fd), 0, "close", "/shared/log");
    mine.returned = mine.appended;
}

// While others append: what has been appended is there, and everything else is whole records. A
// file that is never removed is always there.
void SharedFiles::look_on(SimMount& c, const Trust& trust)
{
    Sureness sure(trust);
    std::vector<Records> before = records_;
    int err;
    std::string log = whole(c, "/shared/log", &err);
    sure.expect(err, 0, "read of", "/shared/log");
    for (unsigned client = 0; sure && client < records_.size(); client++)
        for (unsigned n = records_[client].doubtful; n < before[client].returned; n++)
            if (log.find(record(client, n)) == std::string::npos)
                ADD_FAILURE() << "/shared/log, read while others append, lacks: "
                              << record(client, n);
    llc_attr a;
    for (unsigned i = 0; i < kFiles; i++)
        sure.expect(sys([&] { return c.stat(turn_path(i), &a); }), 0, "stat of", turn_path(i));
}

// Directories that all clients move into each other, without asking: which moves succeed nobody
// knows, but each directory stays in one place, and none gets into itself.
void SharedFiles::shuffle(SimMount& c, const Trust& trust, Rng& rng)
{
    Sureness sure(trust);
    Names paths;
    find_movable(c, "/movable", &paths);
    if (paths.empty()) return;
    std::string from = paths[rng.below(paths.size())];
    std::string to = rng.chance(300) ? "/movable" : paths[rng.below(paths.size())];
    to += from.substr(from.rfind('/'));
    int err = sys([&] { return c.rename(from, to); });
    for (int allowed : {0, -kENOENT, -kEINVAL, -kENOTEMPTY, -kEEXIST})
        if (err == allowed) return;
    sure.expect(err, 0, "move", from + " to " + to);
}

// Those that are found at their places just now.
void SharedFiles::find_movable(SimMount& c, const std::string& dir, Names* paths)
{
    Names names;
    if (sys([&] { return c.readdir(dir, &names); })) return;  // moved meanwhile
    for (auto& n : names) {
        if (n[0] != 't' || paths->size() >= 2 * kMovable) continue;
        paths->push_back(dir + "/" + n);
        find_movable(c, dir + "/" + n, paths);
    }
}

void SharedFiles::verify_movable(SimMount& through) const
{
    Names paths;
    find_movable(through, "/movable", &paths);
    std::sort(paths.begin(), paths.end(), [](const std::string& a, const std::string& b) {
        return a.substr(a.rfind('/')) < b.substr(b.rfind('/'));
    });
    expect_equal(static_cast<int64_t>(paths.size()), kMovable, "directories below", "/movable");
    for (unsigned i = 0; i < paths.size() && i < kMovable; i++) {
        int err;
        expect_text(whole(through, paths[i] + "/is", &err), std::to_string(i), "last read in",
                    paths[i]);
        expect_equal(err, 0, "last read in", paths[i]);
    }
}

// Every client tries the newest name, the first one wins; a second winner, or none, is an operation
// executed twice or not at all.
void SharedFiles::race(SimMount& c, const Trust& trust)
{
    Sureness sure(trust);
    if (races_.empty() || races_.back().winners || races_.back().unsure) races_.push_back({});
    size_t k = races_.size() - 1;
    if (!sure) races_[k].unsure = true;
    std::string path = "/shared/x" + std::to_string(k);
    int fd =
        sys([&] { return c.open(path, SimMount::kWrite | SimMount::kCreate | SimMount::kExcl); });
    if (!sure) races_[k].unsure = true;
    if (fd == -kEEXIST) return;
    if (fd < 0) return sure.expect(fd, 3, "exclusive create of", path);
    races_[k].winners++;
    if (!races_[k].unsure) expect_equal(races_[k].winners, 1, "winners of", path);
    int err = c.close(fd);
    sure.expect(err, 0, "close", path);
}

void SharedFiles::verify(SimMount& through) const
{
    int err;
    for (unsigned i = 0; i < kFiles; i++) {
        std::string data = whole(through, turn_path(i), &err);
        expect_equal(err, 0, "last read of", turn_path(i));
        if (turns_[i].unknown) continue;
        expect_text(data, turns_[i].content, "last read of", turn_path(i));
        expect_look(look(through, i), turns_[i], i);
    }
    for (size_t k = 0; k < races_.size(); k++)
        if (!races_[k].unsure)
            expect_equal(races_[k].winners, 1, "winners of", "/shared/x" + std::to_string(k));
    verify_movable(through);
    std::string log = whole(through, "/shared/log", &err);
    expect_equal(err, 0, "last read of", "/shared/log");
    verify_log(log);
}

// Of each client its records in their order, each once; nothing else, if nobody was in doubt.
void SharedFiles::verify_log(const std::string& log) const
{
    size_t total = 0;
    bool doubt = false;
    for (unsigned client = 0; client < records_.size(); client++) {
        const Records& mine = records_[client];
        total += mine.appended * kRecordBytes;
        doubt |= mine.doubtful > 0;
        size_t from = 0;
        for (unsigned n = 0; n < mine.appended; n++) {
            std::string want = record(client, n);
            size_t at = log.find(want, from);
            if (at != std::string::npos) {
                from = at + want.size();
                if (log.find(want, from) != std::string::npos)
                    ADD_FAILURE() << "/shared/log has twice: " << want;
            } else if (n >= mine.doubtful) {
                ADD_FAILURE() << "/shared/log lacks, or has out of order: " << want;
            }
        }
    }
    if (!doubt)
        expect_equal(static_cast<int64_t>(log.size()), static_cast<int64_t>(total), "size of",
                     "/shared/log");
}

}  // namespace lull::sim
