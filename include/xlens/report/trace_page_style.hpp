// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace xlens::detail {

/// How report/trace_page.hpp looks. One colour means one thing everywhere: --cool is the token
/// that the position ends with, --warm any other.
inline constexpr std::string_view trace_page_style = R"css(
:root { --depth: .7; --col: 6rem; --row: 21px; --labels: 3.1rem; --head: 42px; }
@media (prefers-color-scheme: dark) { :root { --depth: .56; } }
@media (pointer: coarse) { :root { --row: 30px; } }
body { height: 100vh; height: 100dvh; display: grid; grid-template-columns: minmax(0, 1fr);
  grid-template-rows: auto minmax(0, 1fr); }
.top { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 2.5rem;
  padding: 10px 16px 9px; border-bottom: 1px solid var(--line); background: var(--panel); }
.top > div { min-width: 0; max-width: 100%; }
.name { flex: 1 1 20rem; }
h1 { font: 600 16px/1.35 var(--text); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.about { color: var(--dim); font-size: 12px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.legend { display: grid; grid-template-columns: auto auto; gap: 0 1.4rem; align-content: center;
  font-size: 11.5px; line-height: 18px; color: var(--dim); }
.legend span { white-space: nowrap; }
.key { display: inline-block; width: 34px; height: 11px; margin-right: 6px; vertical-align: -1px;
  border-radius: 2px; }
.key.cool { background: linear-gradient(90deg, rgb(var(--cool-rgb) / .05),
  rgb(var(--cool-rgb) / var(--depth))); }
.key.warm { background: linear-gradient(90deg, rgb(var(--warm-rgb) / .05),
  rgb(var(--warm-rgb) / var(--depth))); }
.key.line { background: var(--raised); box-shadow: inset 0 3px 0 var(--cool); }
.key.notch {
  background: linear-gradient(225deg, var(--bad) 5px, transparent 5.6px), var(--raised); }
.key.leaves { background: var(--raised); border-bottom: 3px solid var(--ink); }
main { display: grid; min-height: 0;
  grid-template-columns: fit-content(calc(100% - 28.5rem)) minmax(28.5rem, 1fr); }
/* A browser may paint before the script has run: nothing is seen until it all is in its place. */
main:not(.ready) { visibility: hidden; }
.scroller { overflow: auto; min-width: 0; scroll-padding: calc(var(--head) + 4px) 8px 4px
  calc(var(--labels) + 4px); overscroll-behavior: contain; border-right: 1px solid var(--line); }
#grid { border-collapse: separate; border-spacing: 0; table-layout: fixed; cursor: default;
  width: calc(var(--labels) + var(--positions) * var(--col)); }
#grid.few { --col: 7.5rem; }
#grid th, #grid td { padding: 0; font-weight: 400; text-align: left; overflow: hidden;
  white-space: nowrap; }
#grid thead th { position: sticky; top: 0; z-index: 2; height: var(--head); padding: 3px 6px;
  background: var(--panel); border-bottom: 1px solid var(--strong); text-overflow: ellipsis; }
#grid thead small { display: block; font-size: 10.5px; line-height: 14px; color: var(--dim); }
#grid thead .tok { font-size: 12.5px; font-weight: 600; }
#grid th:first-child { position: sticky; left: 0; z-index: 1; width: var(--labels);
  padding: 0 9px 0 4px; text-align: right; font-size: 11.5px; color: var(--dim);
  background: var(--panel); border-right: 1px solid var(--strong); }
#grid thead th:first-child { z-index: 3; vertical-align: bottom; padding-bottom: 4px; }
#grid .here, #grid thead .here small { color: var(--ink); font-weight: 700; }
#grid thead .here { box-shadow: inset 0 -3px 0 var(--ink); }
#grid tbody .here { box-shadow: inset -3px 0 0 var(--ink); }
#grid td { height: var(--row); padding: 0 5px 0 6px; font-size: 12px;
  border-right: 1px solid var(--paper); border-bottom: 1px solid var(--paper);
  background-color: rgb(var(--warm-rgb) / calc(var(--p) * var(--depth))); }
#grid td.final { background-color: rgb(var(--cool-rgb) / calc(var(--p) * var(--depth))); }
#grid td.eliminates { background-image: linear-gradient(225deg, var(--bad) 4.6px,
  transparent 5.2px); }
#grid td.saturation { box-shadow: inset 0 3px 0 var(--cool); }
#grid td.exit { position: relative; }
#grid td.exit::after { content: ""; position: absolute; inset: auto 0 0; height: 3px;
  background: var(--ink); }
#grid td > div { display: flex; align-items: baseline; justify-content: space-between; gap: 4px; }
#grid td .tok { overflow: hidden; text-overflow: ellipsis; }
#grid td small { font-size: 10.5px; }
#grid td:hover { outline: 1px solid var(--strong); outline-offset: -1px; }
#grid td.same .tok { text-decoration: underline; text-decoration-thickness: 1px;
  text-underline-offset: 3px; }
#grid td[aria-selected=true] { outline: 2px solid var(--ink); outline-offset: -2px; }
#grid td:focus-visible { outline: 3px solid var(--focus); outline-offset: -3px; }
.tok { font-family: var(--mono); font-size: 12px; white-space: pre; }
.tok i { font-style: normal; opacity: .62; }
.panel { overflow-y: auto; scrollbar-gutter: stable; padding: 12px 18px 20px; min-width: 0;
  container-type: inline-size; }
.title { display: flex; align-items: center; justify-content: space-between; gap: 12px; }
h2 { font: 600 15px/1.35 var(--text); min-width: 0; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
h2 .tok { font-size: 14px; }
h3 { margin: 16px 0 6px; font: 600 12px/1.35 var(--text); color: var(--dim); }
.steps { display: flex; gap: 4px; }
.steps button { width: 30px; height: 30px; padding: 0; border: 1px solid var(--line);
  border-radius: 5px; background: var(--panel); color: var(--ink); font: 14px/1 var(--text); }
.steps button:hover { background: var(--raised); }
.steps button:disabled { color: var(--strong); }
.summary { margin-top: 4px; min-height: 3em; font-size: 13px; line-height: 1.5; }
.sides { display: grid; grid-template-columns: minmax(0, 1fr) 54px minmax(0, 1fr);
  max-width: 46rem; }
.sides h3 { margin: 10px 0 4px; }
.sides h3:last-of-type { grid-column: 3; }
.sides h3:first-of-type { grid-column: 1 / 3; }
.bars { list-style: none; }
.bars li { display: flex; align-items: center; justify-content: space-between; gap: 8px;
  height: 22px; margin-bottom: 1px; border-radius: 2px; --hue: var(--warm-rgb);
  background: linear-gradient(var(--to, 90deg), rgb(var(--hue) / .5) calc(var(--p) * 100%),
  rgb(var(--hue) / .09) calc(var(--p) * 100%)); padding: 0 6px; }
.bars li.final { --hue: var(--cool-rgb); }
.bars .tok { overflow: hidden; text-overflow: ellipsis; }
.bars small { font-size: 11.5px; flex: none; }
.before li { flex-direction: row-reverse; --to: 270deg; }
.sides svg { display: block; overflow: visible; }
.sides path { fill: none; stroke: var(--strong); stroke-width: 1.25; }
.sides path.up { stroke: var(--cool); }
.sides path.down { stroke: var(--bad); }
.sides path.first { stroke-width: 2.5; }
.sides path.gone { stroke-dasharray: 1.5 3; stroke-width: 1; }
.sides path.gone.first { stroke-width: 2.5; stroke-dasharray: 3 3; }
.changes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 54px;
  max-width: 46rem; }
.changes ul { list-style: none; min-height: calc(var(--rows, 5) * 20px); font-size: 12px;
  line-height: 20px; }
.changes li { display: flex; justify-content: space-between; gap: 8px; white-space: nowrap; }
.changes .tok { overflow: hidden; text-overflow: ellipsis; }
.changes small { flex: none; font-size: 11.5px; color: var(--dim); }
.out { color: var(--bad); }
.updates { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr));
  gap: 0 28px; }
.update { padding: 7px 0 8px; border-top: 1px solid var(--line);
  background: linear-gradient(var(--strong) 0 0) 0 0 / calc(var(--share) * 100%) 3px no-repeat; }
.figures { display: grid; grid-template-columns: 5.6rem 6rem 5rem minmax(0, 1fr); gap: 0 6px;
  align-items: baseline; font-size: 12px; }
.figures > span { white-space: nowrap; }
.figures abbr { color: var(--dim); text-decoration: none; }
.neuron { font: 600 12.5px/1.4 var(--mono); }
.ends { display: grid; grid-template-columns: 5.6rem minmax(0, 1fr); gap: 1px 6px; margin-top: 3px;
  font-size: 11.5px; line-height: 17px; color: var(--dim); }
.ends .tok { display: inline-block; max-width: 100%; margin-right: 9px; overflow: hidden;
  text-overflow: ellipsis; vertical-align: bottom; font-size: 11.5px; }
.ends .promotes .tok { color: var(--cool); }
.ends .tok.read { font-weight: 700; text-decoration: underline; text-underline-offset: 2px; }
.note { margin-top: 12px; font-size: 11.5px; color: var(--dim); overflow-wrap: anywhere; }
@media (max-width: 799px) {
  :root { --col: 5.4rem; --labels: 2.7rem; }
  body { height: auto; display: block; }
  .top { padding: 8px 12px; gap: 6px; }
  .name { flex-basis: 100%; }
  .legend { font-size: 11px; gap: 0 .9rem; line-height: 16px; }
  .key { width: 22px; }
  main { display: block; }
  .scroller { position: sticky; top: 0; z-index: 4; height: 46vh; height: 46dvh;
    background: var(--paper); border-right: 0; border-bottom: 1px solid var(--strong); }
  #grid.few { --col: 5.9rem; }
  .panel { overflow: visible; padding: 10px 12px 24px; }
  .about { white-space: normal; }
  h2 { font-size: 14px; line-height: 18px; }
  h2 span { display: block; overflow: hidden; text-overflow: ellipsis; }
  .steps button { width: 40px; height: 38px; }
  .sides { grid-template-columns: minmax(0, 1fr) 36px minmax(0, 1fr); }
  .changes { gap: 0 36px; }
  .changes li { gap: 4px; }
  .keys { display: none; }
}
@media print { body { height: auto; display: block; } .scroller, .panel { overflow: visible; } }
)css";

}  // namespace xlens::detail
