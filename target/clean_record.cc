// SPDX-License-Identifier: GPL-2.0-only
#include "target/clean_record.h"

#include "target/identity.h"

namespace lull {

namespace {

constexpr uint32_t kCrcSeed = 0x4c554c4c;

Text<40> file_name(TargetKind kind)
{
    return text_format<40>("clean_record_%s", device_type(kind));
}
Text<40> record_name(TargetKind kind, const char* what)
{
    return text_format<40>("%s.%s", device_type(kind), what);
}

}  // namespace

Status encode_clean_record(CleanRecord& record, Bytes* out)
{
    Encoder x(kProtocol2);
    record.io(x);
    uint32_t crc = kapi_crc32c(kCrcSeed, x.output().data(), x.output().size());
    x.u32(crc);
    TRY(x.status());
    out->swap(x.output());
    return kOk;
}

Result<CleanRecord> decode_clean_record(std::span<const uint8_t> bytes)
{
    if (bytes.size() < 4) return -kEIO;
    size_t body = bytes.size() - 4;
    uint32_t crc = 0;
    Decoder tail(kProtocol2, bytes.subspan(body));
    tail.u32(crc);
    if (crc != kapi_crc32c(kCrcSeed, bytes.data(), body)) return -kEIO;
    CleanRecord record;
    Decoder in(kProtocol2, bytes.first(body));
    record.io(in);
    Status s = in.finish();
    if (s.is(kENOMEM)) return s;
    if (!s.ok() || record.format != CleanRecord::kFormat) return -kEIO;
    return record;
}

Status write_clean_record(Store& store, TargetKind kind, CleanRecord& record)
{
    Bytes raw;
    TRY(encode_clean_record(record, &raw));
    return store.write_config(file_name(kind), raw);
}

Result<CleanRecord> read_clean_record(Store& store, TargetKind kind)
{
    Bytes raw = TRY(store.read_config(file_name(kind)));
    return decode_clean_record(raw);
}

Status erase_clean_record(Store& store, TargetKind kind)
{
    return store.remove_config(file_name(kind));
}

Result<InstanceRecord> read_instance(Store& store, TargetKind kind)
{
    Bytes raw =
        TRY(store.get_record(Store::Area::kServer, "", record_name(kind, "instance").c_str()));
    InstanceRecord record;
    Decoder in(kProtocol2, raw);
    record.io(in);
    if (!in.finish().ok() || record.format != InstanceRecord::kFormat) return -kEIO;
    return record;
}

Status write_instance(Store& store, TargetKind kind, const InstanceRecord& record)
{
    InstanceRecord copy = record;
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kServer, "", record_name(kind, "instance").c_str(),
                            out.output());
}

Result<uint64_t> read_last_committed(Store& store, TargetKind kind)
{
    auto raw =
        store.get_record(Store::Area::kServer, "", record_name(kind, "last_committed").c_str());
    if (raw.is(kENODATA)) return uint64_t{0};
    TRY(raw.status());
    uint64_t transno = 0;
    Decoder in(kProtocol2, raw.value());
    in.u64(transno);
    if (!in.finish().ok()) return -kEIO;
    return transno;
}

Status write_last_committed(Store& store, TargetKind kind, uint64_t transno)
{
    Encoder out(kProtocol2);
    out.u64(transno);
    TRY(out.status());
    return store.put_record(Store::Area::kServer, "", record_name(kind, "last_committed").c_str(),
                            out.output());
}

}  // namespace lull
