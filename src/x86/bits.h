// SPDX-License-Identifier: Apache-2.0
// Bits of RFLAGS, control registers, EFER, debug registers, access rights and page-fault codes (SDM volume 3).
#pragma once

#include "words/bits.h"

namespace vitrine {

namespace rflags {
inline constexpr u64 cf = bit(0), one = bit(1), pf = bit(2), af = bit(4), zf = bit(6), sf = bit(7), tf = bit(8),
                     if_ = bit(9), df = bit(10), of = bit(11), iopl = 3 << 12, nt = bit(14), rf = bit(16), vm = bit(17),
                     ac = bit(18), vif = bit(19), vip = bit(20), id = bit(21);
inline constexpr u64 status = cf | pf | af | zf | sf | of;
} // namespace rflags

namespace cr0 {
inline constexpr u64 pe = bit(0), mp = bit(1), em = bit(2), ts = bit(3), et = bit(4), ne = bit(5), wp = bit(16),
                     am = bit(18), nw = bit(29), cd = bit(30), pg = bit(31);
}

namespace cr4 {
inline constexpr u64 vme = bit(0), pvi = bit(1), tsd = bit(2), de = bit(3), pse = bit(4), pae = bit(5), mce = bit(6),
                     pge = bit(7), pce = bit(8), osfxsr = bit(9), osxmmexcpt = bit(10), umip = bit(11), la57 = bit(12),
                     vmxe = bit(13), smxe = bit(14), fsgsbase = bit(16), pcide = bit(17), osxsave = bit(18), smep = bit(20),
                     smap = bit(21), pke = bit(22), cet = bit(23), pks = bit(24);
}

namespace efer {
inline constexpr u64 sce = bit(0), lme = bit(8), lma = bit(10), nxe = bit(11);
}

namespace dr6 {
inline constexpr u64 b0 = bit(0), bd = bit(13), bs = bit(14), bt = bit(15), always = 0xffff0ff0;
}

namespace test_ctrl {
inline constexpr u64 split_lock_ac = u64{1} << 29; ///< a locked access across a cache line is #AC
}

namespace misc_enable {
inline constexpr u64 monitor = bit(18); ///< MONITOR and MWAIT are there
}

namespace dr7 {
inline constexpr u64 enabled = 0xff, gd = bit(13), always = bit(10);
}

/// Page-fault error code.
namespace pfec {
inline constexpr u32 p = 1, w = 2, u = 4, rsvd = 8, i = 16, pk = 32, ss = 64;
}

/// Access rights of a segment in the layout of the VMCS (SDM volume 3, Guest Register State).
namespace rights {
inline constexpr Field type{3, 0, rw, "type", "segment type"};
inline constexpr Field s{4, rw, "S", "1 = code or data, 0 = system"};
inline constexpr Field dpl{6, 5, rw, "DPL", "descriptor privilege level"};
inline constexpr Field p{7, rw, "P", "present"};
inline constexpr Field avl{12, rw, "AVL", "for software"};
inline constexpr Field l{13, rw, "L", "64-bit code"};
inline constexpr Field db{14, rw, "D/B", "default operation size"};
inline constexpr Field g{15, rw, "G", "granularity"};
inline constexpr Field unusable{16, rw, "unusable", "segment register holds a null selector or was not loaded"};
} // namespace rights

} // namespace vitrine
