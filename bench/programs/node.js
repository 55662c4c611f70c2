// SPDX-License-Identifier: Apache-2.0
// A piece of bench/workload: a JavaScript engine compiles while it runs. Numbers, objects, strings, closures, regular expressions and sorting.
"use strict";
const times = Number(process.argv[2] || 1);
let seed = 1;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);

function bodies(steps) {
    const all = [];
    for (let n = 0; n < 5; ++n) all.push({ x: n + 1, y: 2 * n, z: n % 3, vx: 0.1 * n, vy: 0.2, vz: -0.1, mass: 1 / (n + 1) });
    for (let step = 0; step < steps; ++step) {
        for (let i = 0; i < all.length; ++i)
            for (let k = i + 1; k < all.length; ++k) {
                const a = all[i], b = all[k], dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z;
                const pull = 0.001 / Math.pow(Math.sqrt(dx * dx + dy * dy + dz * dz + 0.01), 3);
                a.vx -= dx * b.mass * pull; a.vy -= dy * b.mass * pull; a.vz -= dz * b.mass * pull;
                b.vx += dx * a.mass * pull; b.vy += dy * a.mass * pull; b.vz += dz * a.mass * pull;
            }
        for (const body of all) { body.x += 0.001 * body.vx; body.y += 0.001 * body.vy; body.z += 0.001 * body.vz; }
    }
    return all.reduce((sum, body) => sum + body.x * body.mass, 0);
}

function words(count) {
    const counts = new Map();
    let text = "";
    for (let n = 0; n < count; ++n) text += (random() % 5000).toString(36) + (n % 7 ? " " : ", ");
    for (const [word] of text.matchAll(/[a-z]+[0-9]?/g)) counts.set(word, (counts.get(word) || 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5).join(";");
}

class Tree {
    constructor(value) { this.value = value; this.left = this.right = null; }
    add(value) {
        let at = this;
        for (;;) {
            const side = value < at.value ? "left" : "right";
            if (!at[side]) { at[side] = new Tree(value); return; }
            at = at[side];
        }
    }
    sum(depth) { return (this.value ^ depth) + (this.left ? this.left.sum(depth + 1) : 0) + (this.right ? this.right.sum(depth + 1) : 0); }
}

function trees(count) {
    const root = new Tree(random());
    for (let n = 0; n < count; ++n) root.add(random());
    return root.sum(0);
}

// What is compiled anew each time.
function made(count) {
    let sum = 0;
    for (let n = 0; n < count; ++n) {
        const f = new Function("n", `let s = ${n}; for (let i = 0; i < n; ++i) s = (s * ${n + 3} + i) | 0; return s;`);
        sum = (sum + f(2000)) | 0;
    }
    return sum;
}

for (let n = 0; n < times; ++n) console.log(bodies(20000), words(20000), trees(20000), made(100));
