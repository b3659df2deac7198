/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mdc, osc and mgc have in common among their parameters. A device whose object is T gives its import by
 * T::import_for_params() and puts LULL_IMPORT_PARAMS(T) into its table:
 *
 *   import            show: state, NIDs, what is in flight; store: "connection=NID" or "recover": connect again, now (R1)
 *   state, stats      for scripts
 *   gate              show: open, closing…, and the longest pause; store: 0 forgets the longest pause
 */
#pragma once
#include "ptlrpc/import.h"
#include "ptlrpc/params.h"

namespace lull {

Status show_import(const Import& import, TextSink& out);
Status store_import(Import& import, Str value);           // -EINVAL, -ETIMEDOUT
Status show_import_state(const Import& import, TextSink& out);
Status show_import_stats(const Import& import, TextSink& out);
Status show_gate(Gate& gate, TextSink& out);
Status store_gate(Gate& gate, Str value);                 // "0": forget the longest pause; -EINVAL

}  // namespace lull

#define LULL_IMPORT_PARAM_OF(T, object) (*static_cast<T*>(object)->import_for_params())
#define LULL_IMPORT_PARAMS(T)                                                                                            \
    {"import", [](void* o, ::lull::TextSink& out) { return ::lull::show_import(LULL_IMPORT_PARAM_OF(T, o), out); },      \
     [](void* o, ::lull::Str value) { return ::lull::store_import(LULL_IMPORT_PARAM_OF(T, o), value); }},                \
    {"state", [](void* o, ::lull::TextSink& out) { return ::lull::show_import_state(LULL_IMPORT_PARAM_OF(T, o), out); }, \
     nullptr},                                                                                                           \
    {"stats", [](void* o, ::lull::TextSink& out) { return ::lull::show_import_stats(LULL_IMPORT_PARAM_OF(T, o), out); }, \
     nullptr},                                                                                                           \
    {"gate", [](void* o, ::lull::TextSink& out) { return ::lull::show_gate(LULL_IMPORT_PARAM_OF(T, o).gate(), out); },   \
     [](void* o, ::lull::Str value) { return ::lull::store_gate(LULL_IMPORT_PARAM_OF(T, o).gate(), value); }}
