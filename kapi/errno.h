/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Linux errno values for the core, which may include no system header. Functions return them
 * negated.
 */
#pragma once

enum : int {
    kEPERM = 1,
    kENOENT = 2,
    kEINTR = 4,
    kEIO = 5,
    kENXIO = 6,
    kEBADF = 9,
    kEAGAIN = 11,
    kENOMEM = 12,
    kEACCES = 13,
    kEFAULT = 14,
    kEBUSY = 16,
    kEEXIST = 17,
    kEXDEV = 18,
    kENODEV = 19,
    kENOTDIR = 20,
    kEISDIR = 21,
    kEINVAL = 22,
    kENFILE = 23,
    kEFBIG = 27,
    kENOSPC = 28,
    kEROFS = 30,
    kEMLINK = 31,
    kERANGE = 34,
    kEDEADLK = 35,
    kENAMETOOLONG = 36,
    kENOLCK = 37,
    kENOTEMPTY = 39,
    kELOOP = 40,
    kENODATA = 61,
    kEPROTO = 71,
    kEBADMSG = 74,
    kEOVERFLOW = 75,
    kEMSGSIZE = 90,
    kEPROTONOSUPPORT = 93,
    kEOPNOTSUPP = 95,
    kEADDRINUSE = 98,
    kENETUNREACH = 101,
    kECONNRESET = 104,
    kENOTCONN = 107,
    kESHUTDOWN = 108,
    kETXTBSY = 26,
    kETIMEDOUT = 110,
    kECONNREFUSED = 111,
    kEHOSTUNREACH = 113,
    kEALREADY = 114,
    kEINPROGRESS = 115,
    kESTALE = 116,
    kEDQUOT = 122,
    kECANCELED = 125,
    kERESTARTSYS = 512,     // interrupted by a signal; the VFS turns it into EINTR or a restart
    kERESTARTNOINTR = 513,  // always into a restart

    // Lull's own; never shown to an application.
    kEPark = 1001,        // answered "park": go back behind the gate and send again (S14, B3)
    kEEvicted = 1002,     // the server no longer knows this client (A7)
    kERetryLater = 1003,  // the target cannot take a connection now, ask again (T9)
    // the target went out of reach and the caller holds others' gates: back behind them (B3)
    kEGiveWay = 1004,
};
