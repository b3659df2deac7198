// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clean record (A12, B1): written at the end of a controlled shutdown, when everything is
 * committed, as CONFIGS/clean_record_<kind>. Its presence with a good checksum and the instance of
 * the target's own record *is* the clean flag. The next instance reads it, erases it durably before
 * it serves, and keeps what it says in memory.
 */
#pragma once
#include "target/target.h"

namespace lull {

inline constexpr char kSoftwareVersion[] = "Lull 0.1";
using VersionText = Text<40>;

struct CleanRecord {
    static constexpr uint32_t kFormat = 4;
    static constexpr size_t kClientsMax = 1u << 20, kOpensMax = 1u << 22, kFlocksMax = 1u << 22;
    struct Client {
        UuidText uuid;
        template <class Io> void io(Io& x) { x.text(uuid); }
    };
    uint32_t format = kFormat;
    VersionText software;
    uint16_t protocol = 0;
    uint64_t instance = 0;
    uint64_t last_transno = 0;
    // B4: how the shutdown went, for whoever looks at the next instance; ns, and the time of day
    // when this was written.
    struct Times {
        uint64_t warm = 0, notify = 0, drain = 0, commit = 0, written_at = 0;
        template <class Io> void io(Io& x)
        {
            x.u64(warm);
            x.u64(notify);
            x.u64(drain);
            x.u64(commit);
            x.u64(written_at);
        }
    } times;
    Vec<Client> clients;
    Vec<ReservedOpen> opens;
    Vec<Flock> flocks;
    template <class Io> void io(Io& x)
    {
        x.u32(format);
        x.text(software);
        x.u16(protocol);
        x.u64(instance);
        x.u64(last_transno);
        x.sub(times);
        x.list(clients, kClientsMax);
        x.list(opens, kOpensMax);
        x.list(flocks, kFlocksMax);
    }
};

Status encode_clean_record(CleanRecord& record, Bytes* out);
// -EIO: damaged or of another format
Result<CleanRecord> decode_clean_record(std::span<const uint8_t> bytes);

// Two targets may share a device: each has a record of its own.
Status write_clean_record(Store& store, TargetKind kind, CleanRecord& record);  // synced
// -ENOENT: not clean; -EIO
Result<CleanRecord> read_clean_record(Store& store, TargetKind kind);
Status erase_clean_record(Store& store, TargetKind kind);  // synced

// The record of the running instance, in last_rcvd.
struct InstanceRecord {
    static constexpr uint32_t kFormat = 1;
    uint32_t format = kFormat;
    uint64_t instance = 0;
    uint16_t protocol = 0;
    VersionText software;
    template <class Io> void io(Io& x)
    {
        x.u32(format);
        x.u64(instance);
        x.u16(protocol);
        x.text(software);
    }
};
// -ENODATA: first start
Result<InstanceRecord> read_instance(Store& store, TargetKind kind);
Status write_instance(Store& store, TargetKind kind, const InstanceRecord& record);
Result<uint64_t> read_last_committed(Store& store, TargetKind kind);  // 0: none yet
Status write_last_committed(Store& store, TargetKind kind, uint64_t transno);

}  // namespace lull
