// SPDX-License-Identifier: Apache-2.0
// How the page looks: light and dark, from a phone's width to a desk's.
#include "report/writers.h"

namespace vitrine::report {

std::string_view style() {
    return R"css(
:root{color-scheme:light dark;--ground:#f4f5f7;--paper:#fff;--ink:#1a1f2b;--soft:#5b6475;--line:#dfe3ea;--faint:#eef1f5;--accent:#1f5fbf;--bar:#d9e6fa;
--c0:#2f6fd0;--c1:#e08a1e;--c2:#2a9d6f;--c3:#c8453c;--c4:#7d5bc6;--c5:#1798b4;--c6:#c2508f;--c7:#8a93a3}
@media(prefers-color-scheme:dark){:root{--ground:#11141a;--paper:#1a1f28;--ink:#e7eaf0;--soft:#9aa4b5;--line:#303846;--faint:#222936;--accent:#7fb0ff;--bar:#24436f;
--c0:#6aa2f5;--c1:#f0aa4d;--c2:#4fc493;--c3:#ec7468;--c4:#a88bea;--c5:#46bfd8;--c6:#e57fb4;--c7:#8b95a7}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
header,main,nav{max-width:1200px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
.brand{margin:0;color:var(--accent);font-weight:700;letter-spacing:.14em;text-transform:uppercase;font-size:12px}
h1{margin:2px 0 10px;font-size:28px;line-height:1.2;letter-spacing:-.01em}
nav{display:flex;flex-wrap:wrap;gap:6px;padding-bottom:6px}
nav a{color:var(--ink);text-decoration:none;border:1px solid var(--line);background:var(--paper);border-radius:99px;padding:3px 12px;font-size:13px}
nav a:hover{border-color:var(--accent);color:var(--accent)}
.part{margin:22px 0;background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:20px 22px}
h2{margin:0 0 4px;font-size:20px;letter-spacing:-.01em}
h3{margin:0 0 4px;font-size:16px;display:flex;align-items:center;gap:9px}
h4{margin:0 0 4px;font-size:13px;color:var(--soft);font-weight:600}
.number{flex:none;width:22px;height:22px;border-radius:50%;background:var(--accent);color:var(--paper);font-size:12px;font-weight:700;display:grid;place-items:center}
.note,.none{margin:0 0 10px;color:var(--soft);font-size:13px}
.none{font-style:italic}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:12px 0 16px}
.cards>div{background:var(--faint);border-radius:9px;padding:9px 12px;display:flex;flex-direction:column;justify-content:space-between}
dt{color:var(--soft);font-size:12px;line-height:1.3}
.cards.eight{grid-template-columns:repeat(4,minmax(0,1fr))}
dd{margin:2px 0 0;font-size:18px;white-space:nowrap;font-weight:650;letter-spacing:-.01em}
.panels{display:grid;grid-template-columns:minmax(0,1fr);gap:16px}
.panel{border-top:1px solid var(--line);padding-top:14px;min-width:0}
@media(min-width:1000px){.four{grid-template-columns:minmax(0,4fr) minmax(0,7fr);grid-template-rows:auto auto 1fr;gap:20px 32px}.four>.panel:first-child{grid-column:1/-1}
.four>.panel:nth-child(3){grid-row:2/4;grid-column:2}.four>.panel:nth-child(3)>.tables{columns:2;column-gap:32px}}
.table{break-inside:avoid;padding-top:10px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{padding:5px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left;padding-left:0;white-space:normal;min-width:110px}
td:last-child,th:last-child{padding-right:4px}
thead th{color:var(--soft);font-weight:600;font-size:12px;vertical-align:bottom;white-space:normal;overflow-wrap:normal}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
.bar{background:linear-gradient(var(--bar),var(--bar)) right/var(--p) 100% no-repeat}
details>summary{cursor:pointer;color:var(--soft);font-size:13px}
.legend{display:flex;flex-wrap:wrap;gap:3px 16px;font-size:12.5px;color:var(--soft);list-style:none;padding:0;margin:0 0 8px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px;vertical-align:-1px}
.legend b{color:var(--ink);font-weight:600}
.processor{display:flex;align-items:center;gap:10px;margin:4px 0;font-size:13px}
.processor>span{flex:none;width:46px;color:var(--soft)}
.stack{flex:1;display:flex;height:24px;border-radius:6px;overflow:hidden;background:var(--faint)}
.stack>div{flex-basis:0;min-width:0;color:#fff;font-size:12px;font-weight:600;display:grid;place-items:center;overflow:hidden}
.guests{background:#2a8f66}.root{background:#2f6fd0}.outside{background:#77808f}
.plots{display:grid;grid-template-columns:minmax(0,1fr);gap:22px;margin-top:10px}
@media(min-width:1000px){.plots{grid-template-columns:repeat(2,minmax(0,1fr));gap:26px 30px}}
figure{margin:0;min-width:0}
figcaption{font-size:13px;color:var(--soft);margin-bottom:6px}
figcaption b{color:var(--ink);font-size:14.5px}
.chart{display:grid;grid-template-columns:auto minmax(0,1fr);gap:4px 8px;margin-bottom:8px}
.y,.x{display:flex;justify-content:space-between;color:var(--soft);font-size:11.5px;line-height:1}
.y{flex-direction:column;text-align:right;min-width:26px}
.x{grid-column:2}
.chart svg{width:100%;height:170px;display:block;border-left:1px solid var(--line);border-bottom:1px solid var(--line);background:var(--faint)}
.grid{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke}
.hints rect{fill:transparent}
.hints rect:hover{fill:var(--ink);fill-opacity:.08}
.c0{fill:var(--c0);background:var(--c0)}.c1{fill:var(--c1);background:var(--c1)}.c2{fill:var(--c2);background:var(--c2)}.c3{fill:var(--c3);background:var(--c3)}
.c4{fill:var(--c4);background:var(--c4)}.c5{fill:var(--c5);background:var(--c5)}.c6{fill:var(--c6);background:var(--c6)}.c7{fill:var(--c7);background:var(--c7)}
.journey{border-top:1px solid var(--line);padding:10px 0}
.journey>summary{font-size:14px;color:var(--ink)}
.journey>.note{margin:4px 0 8px}
ol{list-style:none;margin:0;padding:0}
.journey li{display:grid;grid-template-columns:minmax(0,470px) 172px minmax(0,1fr);gap:0 18px;align-items:stretch}
.lanes{position:relative;background:repeating-linear-gradient(to right,var(--faint) 0 calc(100%/7),transparent calc(100%/7) calc(200%/7));min-height:50px}
.names .lanes{display:flex;min-height:0}
.names span{flex:1 1 0;text-align:center;font-size:12px;font-weight:600;color:var(--soft);padding:4px 0}
.lanes svg{position:absolute;inset:0;width:100%;height:100%}
.way{stroke:var(--soft);stroke-width:2;fill:none;vector-effect:non-scaling-stroke}
.way.inferred{stroke-dasharray:4 4}
.dot{position:absolute;top:50%;width:13px;height:13px;margin:-6.5px 0 0 -6.5px;border-radius:50%;border:2px solid var(--paper)}
.l0{background:var(--c7)}.l1{background:var(--c1)}.l2{background:var(--c5)}.l3{background:var(--c0)}.l4{background:var(--c4)}.l5{background:var(--c3)}.l6{background:var(--c2)}
.lane{color:#fff;border-radius:4px;padding:0 6px;font-size:11px;font-weight:600;display:none}
.when{font-size:11.5px;line-height:1.35;color:var(--soft);text-align:right;align-self:center}
.when b{display:block;color:var(--ink);font-size:13px}
.when span{display:block;white-space:nowrap}
.what{align-self:center;font-size:13.5px;line-height:1.35;padding:5px 0}
.what b{font-weight:600}
.what em{color:var(--soft);font-size:12px}
.detail{display:block;color:var(--soft);font-size:12.5px}
#exact li{margin:4px 0;font-size:13.5px;color:var(--soft)}
#exact ul{margin:6px 0 0;padding-left:18px}
@media(max-width:700px){header,main,nav{padding-left:12px;padding-right:12px}.part{padding:16px 14px;border-radius:10px}h1{font-size:23px}.second{display:none}
.cards,.cards.eight{grid-template-columns:repeat(2,minmax(0,1fr))}dd{font-size:17px}th,td{padding:5px 4px}table{font-size:12.5px}th:first-child{min-width:84px}
.journey li{grid-template-columns:98px minmax(0,1fr);gap:0 10px}.lanes{grid-row:1/3;min-height:72px}.names{display:none!important}.lane{display:inline-block}
.when{text-align:left;align-self:end;padding-top:6px}.when b,.when span{display:inline-block;margin-right:6px;white-space:nowrap}.what{padding:0 0 6px;align-self:start}}
@media print{body{background:#fff}.part{break-inside:avoid;border:0}nav{display:none}}
)css";
}

} // namespace vitrine::report
