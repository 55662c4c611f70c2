// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--no-warnings -lx264 -lm -lpthread -ldl
// A piece of bench/workload: x264 encodes a moving picture that is computed, in one thread. What it writes depends on its source and settings
// alone; the kernels that it is famous for are chosen by CPUID.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <x264.h>

enum { width = 320, height = 192 };

/// Waves that move, a moving square, and some noise.
static void draw(x264_picture_t* picture, int frame) {
    uint32_t seed = (uint32_t)frame * 2654435761u + 1;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int wave = ((x + 3 * frame) * (y + 2 * frame) >> 6) & 63, noise = (int)((seed = seed * 1664525u + 1013904223u) >> 29);
            const int square = x / 40 == frame / 4 % 8 && y / 48 == frame / 8 % 4 ? 90 : 0;
            picture->img.plane[0][y * picture->img.i_stride[0] + x] = (uint8_t)(64 + wave + noise + square);
        }
    for (int plane = 1; plane < 3; ++plane)
        for (int y = 0; y < height / 2; ++y)
            for (int x = 0; x < width / 2; ++x)
                picture->img.plane[plane][y * picture->img.i_stride[plane] + x] = (uint8_t)(128 + ((x + plane * y + frame) >> 3 & 31));
}

static uint32_t hash(uint32_t h, const uint8_t* at, int size) {
    while (size-- > 0)
        h = (h ^ *at++) * 16777619u;
    return h;
}

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    x264_param_t param;
    if (x264_param_default_preset(&param, "medium", NULL) < 0)
        return 1;
    param.i_width = width;
    param.i_height = height;
    param.i_csp = X264_CSP_I420;
    param.i_threads = 1;
    param.i_fps_num = 25;
    param.i_fps_den = 1;
    param.i_log_level = X264_LOG_WARNING;
    param.b_vfr_input = 0;
    if (x264_param_apply_profile(&param, "high") < 0)
        return 1;
    x264_t* const encoder = x264_encoder_open(&param);
    x264_picture_t in, out;
    if (!encoder || x264_picture_alloc(&in, param.i_csp, width, height) < 0)
        return 1;
    uint32_t h = 2166136261u;
    long bytes = 0;
    x264_nal_t* nal;
    int count;
    for (int frame = 0; frame < 8 * times || x264_encoder_delayed_frames(encoder); ++frame) {
        const int more = frame < 8 * times;
        if (more) {
            draw(&in, frame);
            in.i_pts = frame;
        }
        const int size = x264_encoder_encode(encoder, &nal, &count, more ? &in : NULL, &out);
        if (size < 0)
            return 1;
        if (size > 0)
            h = hash(h, nal[0].p_payload, size);
        bytes += size;
    }
    x264_picture_clean(&in);
    x264_encoder_close(encoder);
    printf("%ld %x\n", bytes, h);
}
