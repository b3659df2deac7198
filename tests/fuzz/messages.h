/* SPDX-License-Identifier: GPL-2.0-only */
/* Every operation with a decoder, for the fuzz targets. */
#pragma once
#include "include/lull/ops_connect.h"
#include "include/lull/ops_ldlm.h"
#include "include/lull/ops_mds.h"
#include "include/lull/ops_mgs.h"
#include "include/lull/ops_ost.h"

// clang-format off
//  X(name of the operation's structure)
#define LULL_FUZZ_OPERATIONS(X) \
    X(ConnectOp) X(DisconnectOp) X(PingOp) X(ReplayDoneOp) X(LdlmEnqueueOp) X(LdlmCancelOp) \
    X(ActiveEnqueueOp) X(LdlmBlAst) X(LdlmFlockOp) X(LdlmFlockCancelOp) X(LdlmFlockReplayOp) \
    X(ActiveWarmOp) X(MgsRegisterOp) X(MgsConfigOp) X(MgsTargetAt) X(MgsFsLockOp) X(MgsFsUnlockOp) \
    X(MgsFsWanted) X(MgsSettingsOp) X(MgsOstsUsedOp) X(MdsGetattrOp) X(MdsReaddirOp) \
    X(MdsReadlinkOp) X(MdsStatfsOp) X(MdsSyncOp) X(MdsGetSeqOp) X(MdsOpenOp) X(MdsCloseOp) \
    X(MdsCreateOp) X(MdsUnlinkOp) X(MdsLinkOp) \
    X(MdsRenameOp) X(MdsSetattrOp) X(MdsSetLayoutOp) X(OstReadOp) X(OstWriteOp) X(OstPunchOp) \
    X(OstSetattrOp) X(OstGetattrOp) X(OstDestroyOp) X(OstStatfsOp) X(OstSyncOp) X(OstListOp)
// clang-format on

#define LULL_FUZZ_ONE(name) +1
static_assert(0 LULL_FUZZ_OPERATIONS(LULL_FUZZ_ONE) ==
                  sizeof lull::kOpcodeTable / sizeof lull::kOpcodeTable[0],
              "an operation is missing here");
#undef LULL_FUZZ_ONE
