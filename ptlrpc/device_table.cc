// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/device_table.h"

namespace lull {

namespace {
constexpr size_t kValueMaxBytes = 256u << 10;  // of one parameter
using ParamName = Text<200>;

ParamName full_name(const Device& device, const Param& param)
{
    if (!device.type()[0]) return text_format<200>("%s", param.name);
    return text_format<200>("%s.%s.%s", device.type(), device.name().c_str(), param.name);
}

Str without_trailing_newlines(Str s)
{
    while (!s.empty() && s[s.size() - 1] == '\n') s = s.substr(0, s.size() - 1);
    return s;
}

Status show_one(Device& device, const Param& param, Str name, TextSink& out)
{
    if (!param.show) return kOk;
    TextSink value(kValueMaxBytes);
    TRY(param.show(device.object(), value));
    TRY(value.status());
    Str text = without_trailing_newlines(value.text());
    out.append(name);
    out.append(text.find('\n') == SIZE_MAX ? "=" : "=\n");
    out.append(text);
    out.append("\n");
    return out.status();
}
}  // namespace

DeviceTable::~DeviceTable() { LULL_ASSERT(state_.unsafe().devices.empty()); }

Status DeviceTable::add(Device& device)
{
    auto state = state_.lock();
    for (Device& d : state->devices)
        if (Str(d.type()) == Str(device.type()) && d.name() == device.name().str()) return -kEEXIST;
    device.users_ = 0;
    device.leaving_ = false;
    state->devices.push_back(device);
    return kOk;
}

void DeviceTable::remove(Device& device)
{
    auto state = state_.lock();
    if (!device.hook.is_linked()) return;
    device.leaving_ = true;
    (void)state.wait_until(unpinned_, [&] { return device.users_ == 0; });
    state->devices.erase(state->devices.iterator_to(device));
}

// The first device (pinned null) or the one after it; unpins one, pins the other.
Device* DeviceTable::next(Device* pinned)
{
    auto state = state_.lock();
    auto it = pinned ? ++state->devices.iterator_to(*pinned) : state->devices.begin();
    if (pinned && --pinned->users_ == 0) unpinned_.wake_all();
    while (it != state->devices.end() && it->leaving_) ++it;
    if (it == state->devices.end()) return nullptr;
    it->users_++;
    return &*it;
}

// Visits all, and gives the first error at the end: one target that cannot answer must not hide the
// others.
template <class F> Status DeviceTable::for_each_match(Str glob, F visit)
{
    Status first;
    unsigned matches = 0;
    for (Device* device = next(nullptr); device; device = next(device)) {
        for (const Param& param : device->params()) {
            ParamName name = full_name(*device, param);
            if (!glob_match(glob, name)) continue;
            matches++;
            Status s = visit(*device, param, name.str());
            if (!s.ok() && first.ok()) first = s;
        }
    }
    return matches ? first : Status(-kENOENT);
}

Status DeviceTable::list(Str glob, TextSink& out)
{
    return for_each_match(glob, [&](Device&, const Param&, Str name) {
        out.append(name);
        out.append("\n");
        return out.status();
    });
}

Status DeviceTable::get(Str glob, TextSink& out)
{
    bool shown = false, write_only = false;
    TRY(for_each_match(glob, [&](Device& device, const Param& param, Str name) {
        (param.show ? shown : write_only) = true;
        return show_one(device, param, name, out);
    }));
    return write_only && !shown ? Status(-kEACCES) : kOk;
}

Status DeviceTable::set(Str assignment, TextSink& out)
{
    size_t at = assignment.find('=');
    if (at == SIZE_MAX || at == 0) return -kEINVAL;
    Str value = without_trailing_newlines(assignment.substr(at + 1));
    return for_each_match(assignment.substr(0, at), [&](Device& device, const Param& param,
                                                        Str name) {
        Status s = param.store ? param.store(device.object(), value) : Status(-kEACCES);
        if (!s.ok()) return s;
        out.append(name);
        out.append("\n");
        return out.status();
    });
}

Status DeviceTable::describe(TextSink& out)
{
    unsigned index = 0;
    auto state = state_.lock();
    for (Device& d : state->devices)
        if (d.type()[0])
            out.printf("%3u %s %s %s %s %u\n", index++, d.state.c_str(), d.type(), d.name().c_str(),
                       d.uuid.empty() ? "-" : d.uuid.c_str(), d.users_ + 1);
    return out.status();
}

}  // namespace lull
