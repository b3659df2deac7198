/* SPDX-License-Identifier: GPL-2.0-only */
/* Which FIDs of one sequence were used: a bit for each, in pieces made when they are needed. */
#pragma once
#include "include/lull/fid.h"
#include "kapi/containers.h"

namespace lull {

class UsedFids {
public:
    // oid: at most kFidsPerSequence. False: it was used already. -ENOMEM.
    Result<bool> set(uint32_t oid)
    {
        size_t piece = oid / kPiece;
        if (piece >= pieces_.size()) TRY(pieces_.resize(piece + 1));
        if (!pieces_[piece]) pieces_[piece] = make<Piece>();
        if (!pieces_[piece]) return -kENOMEM;
        uint64_t& word = pieces_[piece]->words[oid % kPiece / 64];
        bool fresh = !(word & bit(oid));
        word |= bit(oid);
        return fresh;
    }
    void clear(uint32_t oid)
    {
        size_t piece = oid / kPiece;
        if (piece < pieces_.size() && pieces_[piece])
            pieces_[piece]->words[oid % kPiece / 64] &= ~bit(oid);
    }

private:
    static constexpr uint32_t kPiece = 1024;
    struct Piece {
        uint64_t words[kPiece / 64] = {};
    };
    static uint64_t bit(uint32_t oid) { return uint64_t{1} << (oid % 64); }
    Vec<Owned<Piece>> pieces_;
};

}  // namespace lull
