// SPDX-License-Identifier: GPL-2.0-only
#include "llite/layout_text.h"

#include "ptlrpc/params.h"

namespace lull {
namespace {

Result<uint64_t> parse_size(Str text)
{
    unsigned shift = 0;
    if (!text.empty()) {
        char unit = text[text.size() - 1];
        shift = unit == 'K' || unit == 'k'   ? 10
                : unit == 'M' || unit == 'm' ? 20
                : unit == 'G' || unit == 'g' ? 30
                                             : 0;
    }
    uint64_t n = TRY(parse_u64(shift ? text.substr(0, text.size() - 1) : text));
    if (n > (UINT64_MAX >> shift)) return -kEINVAL;
    return n << shift;
}

Status parse_word(Str word, Layout* out)
{
    size_t eq = word.find('=');
    if (eq == SIZE_MAX) return -kEINVAL;
    Str key = word.substr(0, eq), value = word.substr(eq + 1);
    if (key == Str("stripe_count")) {
        if (value == Str("-1")) {
            out->stripe_count = UINT32_MAX;
            return kOk;
        }
        auto n = parse_u64(value);
        if (!n.ok() || n.value() > kStripesMax) return -kEINVAL;
        out->stripe_count = static_cast<uint32_t>(n.value());
        return kOk;
    }
    if (key == Str("stripe_size")) {
        auto n = parse_size(value);
        if (!n.ok() || n.value() == 0 || n.value() % kStripeUnitBytes != 0 ||
            n.value() > (1u << 30))
            return -kEINVAL;
        out->stripe_bytes = static_cast<uint32_t>(n.value());
        return kOk;
    }
    return -kEINVAL;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == 0; }

}  // namespace

Status parse_layout(Str text, Layout* out)
{
    out->stripe_bytes = kStripeDefaultBytes;
    out->stripe_count = 0;
    out->objects.clear();
    size_t words = 0;
    for (size_t at = 0; at < text.size();) {
        if (is_space(text[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < text.size() && !is_space(text[end])) end++;
        Str word = text.substr(at, end - at);
        at = end;
        if (words++ == 0 && word == Str("none")) {
            out->stripe_bytes = 0;
            continue;
        }
        if (!out->is_set()) return -kEINVAL;
        TRY(parse_word(word, out));
    }
    return words ? kOk : Status(-kEINVAL);
}

void print_layout(const Layout& layout, TextSink& out)
{
    if (!layout.is_set()) return out.append("none");
    size_t objects = layout.objects.size();
    long long count = objects ? static_cast<long long>(objects)
                      : layout.stripe_count == UINT32_MAX
                          ? -1ll
                          : static_cast<long long>(layout.stripe_count);
    out.printf("stripe_count=%lld stripe_size=%u", count, layout.stripe_bytes);
    for (size_t i = 0; i < objects; i++)
        out.printf("%s%u:" FID_FMT, i ? "," : " objects=", layout.objects[i].ost_index,
                   FID_ARG(layout.objects[i].fid));
}

}  // namespace lull
