# SPDX-License-Identifier: Apache-2.0
# Shell functions by which a guest without a driver lets the edu device do DMA: through sysfs and /dev/mem.

# edu_find; edu_dma FROM TO COUNT COMMAND (1 reads memory, 3 writes it). The device's buffer lies at 40000h of its own addresses.
FUNCTIONS = r"""
edu_find() {
    for d in /sys/bus/pci/devices/*; do
        [ "$(cat $d/vendor)$(cat $d/device)" = 0x12340x11e8 ] && EDU=$d
    done
    echo 1 >$EDU/enable
    printf '\006' | dd of=$EDU/config bs=1 seek=4 conv=notrunc 2>/dev/null
    BAR=$(head -n1 $EDU/resource | cut -d' ' -f1)
}
edu_dma() {
    devmem $((BAR + 0x80)) 64 $1
    devmem $((BAR + 0x88)) 64 $2
    devmem $((BAR + 0x90)) 64 $3
    devmem $((BAR + 0x98)) 64 $4
    while [ $(($(devmem $((BAR + 0x98)) 64) & 1)) = 1 ]; do :; done
}
"""
