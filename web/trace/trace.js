'use strict';
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
const grid = byId('grid'), panel = byId('cell');
const layers = data.cells[0].length, positions = data.cells.length;

// Elements: make('li', 'final', 'text' or another element, ..).
const make = (tag, name, ...parts) => {
  const out = document.createElement(tag);
  if (name) out.className = name;
  out.append(...parts);
  return out;
};
// A token; marks that stand for spaces are dimmed. <bdi> keeps its direction to itself.
const token = (t, name = '') => {
  const out = make('bdi', 'tok ' + name), text = data.tokens[t];
  const first = text.startsWith('\u2423') ? 1 : 0;
  if (first) out.append(make('i', '', '\u2423'));
  out.append(text.slice(first));
  out.title = text + '  #' + data.ids[t];
  return out;
};
// Probabilities come in parts of 100,000; null is no number.
const percent = p => p === null ? 'nan' : p >= 99950 ? '100%' : p >= 9995 ?
  (p / 1000).toFixed(1) + '%' : p >= 10 ? (p / 1000).toFixed(2) + '%' : '<0.01%';
const short = p => p === null ? 'nan' : p < 500 ? '<1' : String(Math.round(p / 1000));
const share = p => Math.min(Math.max((p ?? 0) / 1e5, 0), 1);
const signed = (x, digits) => x === null ? 'nan' :
  (x < 0 ? '\u2212' : '+') + Math.abs(x).toFixed(digits);

// [token, probability, token, probability, ..] as [{t, p}, ..].
const pairs = flat => {
  const out = [];
  for (let i = 0; i < flat.length; i += 2) out.push({t: flat[i], p: flat[i + 1]});
  return out;
};
const cell = (p, l) => {
  const [before, after, updates] = data.cells[p][l];
  return {before: pairs(before), after: pairs(after), updates};
};
const topAfter = (p, l) => data.cells[p][l][1][0];
const topBefore = (p, l) => data.cells[p][l][0][0];
const finalToken = p => topAfter(p, layers - 1);
const eliminates = (p, l) => topBefore(p, l) !== undefined && topAfter(p, l) !== undefined &&
  topBefore(p, l) !== topAfter(p, l);

// The grid.
const heads = [], labels = [], cells = [], holders = new Map();
const buildCell = (p, l) => {
  const out = make('td'), t = topAfter(p, l), chance = data.cells[p][l][1][1];
  out.setAttribute('role', 'gridcell');
  out.setAttribute('aria-selected', 'false');
  out.tabIndex = -1;
  out.dataset.p = p;
  out.dataset.l = l;
  out.style.setProperty('--p', share(chance).toFixed(3));
  if (t === undefined) return out;
  out.append(make('div', '', token(t), make('small', '', short(chance))));
  let label = data.tokens[t] + ' ' + percent(chance);
  if (t === finalToken(p)) out.classList.add('final');
  if (eliminates(p, l)) {
    out.classList.add('eliminates');
    label += ', eliminates ' + data.tokens[topBefore(p, l)];
  }
  if (l === data.saturation[p]) {
    out.classList.add('saturation');
    label += ', saturation layer';
  }
  if (l === data.exits?.[p] && l + 1 < layers) {
    out.classList.add('exit');
    label += ', early exit';
  }
  out.setAttribute('aria-label', label);
  if (!holders.has(t)) holders.set(t, []);
  holders.get(t).push(out);
  return out;
};
const buildGrid = () => {
  grid.style.setProperty('--positions', positions);
  grid.classList.toggle('few', positions <= 8);
  grid.setAttribute('aria-rowcount', layers + 1);
  grid.setAttribute('aria-colcount', positions + 1);
  const head = make('tr'), corner = make('th', '', 'layer');
  corner.scope = 'col';
  corner.setAttribute('role', 'columnheader');
  head.setAttribute('role', 'row');
  head.append(corner);
  for (let p = 0; p < positions; ++p) {
    const where = data.positions[p];
    const th = make('th', '', make('small', '', String(where)), token(data.prompt[where]));
    th.scope = 'col';
    th.setAttribute('role', 'columnheader');
    heads.push(th);
    head.append(th);
  }
  const body = make('tbody');
  for (let l = 0; l < layers; ++l) {
    const row = make('tr'), th = make('th', '', String(l));
    row.setAttribute('role', 'row');
    th.scope = 'row';
    th.setAttribute('role', 'rowheader');
    labels.push(th);
    cells.push([]);
    row.append(th);
    for (let p = 0; p < positions; ++p) {
      cells[l].push(buildCell(p, l));
      row.append(cells[l][p]);
    }
    body.append(row);
  }
  const top = make('thead', '', head);
  top.setAttribute('role', 'rowgroup');
  body.setAttribute('role', 'rowgroup');
  grid.append(top, body);
};

// The chosen cell: lists of tokens with bars, and lines from where a token was to where it is.
const bars = (id, list, last) => byId(id).replaceChildren(...list.map(one => {
  const li = make('li', one.t === last ? 'final' : '', token(one.t),
    make('small', '', percent(one.p)));
  li.style.setProperty('--p', share(one.p).toFixed(4));
  return li;
}));
const rowHeight = 23;
const lines = (before, after) => {
  const svg = byId('lines'), width = svg.clientWidth || 54;
  const rows = Math.max(before.length, after.length);
  svg.setAttribute('height', rows * rowHeight);
  const at = i => (i + .5) * rowHeight - .5;
  const path = (name, from, to, part) => {
    const out = document.createElementNS(svg.namespaceURI, 'path');
    const a = part < 0 ? width * .6 : 3, b = part > 0 ? width * .4 : width - 3, mid = (a + b) / 2;
    out.setAttribute('class', name);
    out.setAttribute('d', `M${a} ${from}C${mid} ${from} ${mid} ${to} ${b} ${to}`);
    return out;
  };
  const out = [];
  before.forEach((one, i) => {
    const j = after.findIndex(other => other.t === one.t);
    const first = (i === 0 || j === 0 ? ' first' : '');
    if (j < 0) out.push(path('down gone' + first, at(i), at(i) + 7, 1));
    else out.push(path((j < i ? 'up' : j > i ? 'down' : '') + first, at(i), at(j), 0));
  });
  after.forEach((one, j) => {
    if (before.some(other => other.t === one.t)) return;
    out.push(path('up gone' + (j === 0 ? ' first' : ''), at(j) + 7, at(j), -1));
  });
  svg.replaceChildren(...out);
};
// What the update changed most. A token that one list lacks is below the last one of that list.
const changes = (before, after) => {
  const of = (list, t) => list.find(one => one.t === t);
  const least = list => list.length ? list[list.length - 1].p : 0;
  const text = (list, one) => one ? percent(one.p) : '<' + percent(least(list)).replace('<', '');
  const all = [...new Set([...before, ...after].map(one => one.t))].map(t => {
    const was = of(before, t), is = of(after, t);
    return {t, by: (is?.p ?? 0) - (was?.p ?? 0),
      text: text(before, was) + ' \u2192 ' + text(after, is)};
  });
  const beaten = before.length && after.length && before[0].t !== after[0].t ? before[0].t : -1;
  panel.style.setProperty('--rows', Math.min(5, before.length));
  const show = (id, list) => byId(id).replaceChildren(...list.slice(0, 5).map(one => {
    const li = make('li', '', token(one.t, one.t === beaten ? 'out' : ''),
      make('small', '', one.text));
    if (one.t === beaten) {
      li.firstChild.prepend('\u2717 ');
      li.setAttribute('aria-label', 'eliminated: ' + data.tokens[one.t] + ' ' + one.text);
    }
    return li;
  }));
  show('promoted', all.filter(one => one.by > 0).sort((a, b) => b.by - a.by));
  // The token that lost rank 1 stands first, though it need not be the one that lost most.
  show('demoted', all.filter(one => one.by < 0 || one.t === beaten)
    .sort((a, b) => (b.t === beaten) - (a.t === beaten) || a.by - b.by));
};
const updates = (list, layer, read) => {
  const figures = pairs(list).map(({t: v, p: m}) => {
    const [, index, norm, high, low] = data.vectors[v];
    return {index, m, norm, dominance: Math.abs(m) * norm, high, low};
  });
  const most = Math.max(...figures.map(one => one.dominance || 0), 1e-30);
  byId('updates').replaceChildren(...figures.map(one => {
    // m·v with m < 0 promotes what v suppresses.
    const [promotes, suppresses] = one.m < 0 ? [one.low, one.high] : [one.high, one.low];
    const named = (name, text) => make('span', '', make('abbr', '', name + ' '), text);
    const line = make('div', 'figures', make('span', 'neuron', layer + ':' + one.index),
      named('m', signed(one.m, 2)), named('\u2016v\u2016', (one.norm ?? NaN).toFixed(2)),
      named('|m|\u2016v\u2016', one.dominance.toFixed(1)));
    const list = (name, tokens) => make('div', name,
      ...tokens.map(t => token(t, read.has(t) ? 'read' : '')));
    const out = make('div', 'update', line, make('div', 'ends', make('span', '', 'promotes'),
      list('promotes', promotes), make('span', '', 'suppresses'), list('suppresses', suppresses)));
    out.setAttribute('role', 'listitem');
    out.style.setProperty('--share', (one.dominance / most || 0).toFixed(3));
    return out;
  }));
  byId('none').hidden = figures.length > 0;
};
// What each head took of each position up to this one, 255 steps; and the prompt in its shades.
const patterns = (p, l) => {
  const bytes = atob(data.patterns[p][l]), seen = data.positions[p] + 1;
  return Array.from({length: bytes ? data.heads : 0}, (_, h) =>
    Array.from({length: seen}, (_, s) => bytes.charCodeAt(h * seen + s) / 255));
};
const shade = w => Math.sqrt(w).toFixed(3);
const strip = (weights, h, l) => {
  const most = weights.indexOf(Math.max(...weights)), heat = make('span', 'heat');
  const at = s => (100 * s / weights.length).toFixed(2) + '%';
  heat.style.backgroundImage = `linear-gradient(90deg, ${weights.map((w, s) =>
    `rgb(var(--seen-rgb) / ${shade(w)}) ${at(s)} ${at(s + 1)}`).join()})`;
  const share = Math.round(100 * weights[most]) + '%', t = data.prompt[most];
  const out = make('button', 'strip', make('span', '', String(h)), heat, token(t),
    make('small', '', share));
  out.type = 'button';
  out.dataset.h = h;
  out.setAttribute('aria-pressed', h === chosen.h);
  out.setAttribute('aria-label', `head ${l}:${h}, most of ${data.tokens[t]}, ${share}`);
  return out;
};
const attention = () => {
  byId('attention').hidden = !data.patterns;
  byId('unpatterned').hidden = !!data.patterns;
  if (!data.patterns || !byId('attention').open) return;
  const {p, l, h} = chosen, all = patterns(p, l);
  byId('strips').replaceChildren(...all.map((weights, i) => strip(weights, i, l)));
  byId('shaded').replaceChildren(...(all[h] ?? []).map((w, s) => {
    const out = token(data.prompt[s]);
    out.style.setProperty('--w', shade(w));
    out.title += `  ${(100 * w).toFixed(1)}%`;
    return out;
  }));
};
const exitText = (exit, l) => exit + 1 === layers ? ' Early exit: none, all layers run.' :
  l === exit ? ' Early exit: this position would leave here.' :
  ` Early exit: after layer ${exit}${l > exit ? '; this layer would not run' : ''}.`;
const summary = (p, l, {before, after}) => {
  if (!before.length || !after.length) return ['The lens reads no numbers here.'];
  const was = before[0], is = after[0], last = finalToken(p), settled = data.saturation[p];
  const out = was.t === is.t ?
    [token(is.t), ` stays on top, ${percent(was.p)} \u2192 ${percent(is.p)}. `] :
    [make('span', 'out', '\u2717 '), token(was.t), ' (', percent(was.p), ') loses rank 1 to ',
      token(is.t), ` (${percent(is.p)}). `];
  const rank = after.findIndex(one => one.t === last);
  if (l === settled) out.push('Saturation layer: ', token(last), ' is on top from here on.');
  else if (l > settled) out.push(`On top since layer ${settled}, the saturation layer.`);
  else out.push('The final token ', token(last), rank < 0 ? ' is below these. ' :
    ` is number ${rank + 1}. `, `Saturation layer: ${settled}.`);
  if (data.exits) out.push(exitText(data.exits[p], l));
  return out;
};

const chosen = {p: -1, l: -1, h: 0};
const show = () => {
  const {p, l} = chosen, it = cell(p, l), where = data.positions[p];
  byId('where').replaceChildren(make('span', '', `Layer ${l}, `),
    make('span', '', `position ${where} `, token(data.prompt[where])));
  byId('summary').replaceChildren(...summary(p, l, it));
  bars('before', it.before, finalToken(p));
  bars('after', it.after, finalToken(p));
  lines(it.before, it.after);
  changes(it.before, it.after);
  attention();
  updates(it.updates, l, new Set(it.after.map(one => one.t)));
  panel.querySelectorAll('[data-step]').forEach(button => {
    const [dp, dl] = button.dataset.step.split(',').map(Number);
    button.disabled = !cells[l + dl]?.[p + dp];
  });
};
const choose = (p, l, focus) => {
  p = Math.min(Math.max(p, 0), positions - 1);
  l = Math.min(Math.max(l, 0), layers - 1);
  const to = cells[l][p];
  if (chosen.p >= 0) {
    const from = cells[chosen.l][chosen.p];
    from.setAttribute('aria-selected', 'false');
    from.tabIndex = -1;
    heads[chosen.p].classList.remove('here');
    labels[chosen.l].classList.remove('here');
    (holders.get(topAfter(chosen.p, chosen.l)) ?? []).forEach(one => one.classList.remove('same'));
  }
  Object.assign(chosen, {p, l});
  to.setAttribute('aria-selected', 'true');
  to.tabIndex = 0;
  heads[p].classList.add('here');
  labels[l].classList.add('here');
  (holders.get(topAfter(p, l)) ?? []).forEach(one => one.classList.add('same'));
  if (focus) to.focus({preventScroll: true});
  reveal(to);
  show();
  try { history.replaceState(null, '', `#p${data.positions[p]}l${l}`); } catch { /* no history */ }
};
// Scrolls the grid, and nothing but the grid, until the cell is clear of the labels.
const reveal = to => {
  const box = grid.parentElement, view = box.getBoundingClientRect();
  const it = to.getBoundingClientRect();
  const left = view.left + labels[0].offsetWidth, top = view.top + heads[0].offsetHeight;
  const right = view.left + box.clientWidth, bottom = view.top + box.clientHeight;
  if (it.left < left) box.scrollLeft -= left - it.left;
  else if (it.right > right) box.scrollLeft += it.right - right;
  if (it.top < top) box.scrollTop -= top - it.top;
  else if (it.bottom > bottom) box.scrollTop += it.bottom - bottom;
};
const fromAddress = () => {
  const found = /^#p(\d+)l(\d+)$/.exec(location.hash);
  const p = found ? data.positions.indexOf(Number(found[1])) : -1;
  return p < 0 ? null : [p, Number(found[2])];
};

grid.addEventListener('click', event => {
  const td = event.target.closest('td');
  if (td) choose(Number(td.dataset.p), Number(td.dataset.l), true);
});
grid.addEventListener('keydown', event => {
  const {p, l} = chosen, all = event.ctrlKey || event.metaKey;
  const to = {
    ArrowLeft: [p - 1, l], ArrowRight: [p + 1, l], ArrowUp: [p, l - 1], ArrowDown: [p, l + 1],
    PageUp: [p, l - 5], PageDown: [p, l + 5],
    Home: [0, all ? 0 : l], End: [positions - 1, all ? layers - 1 : l],
  }[event.key];
  if (!to || event.altKey || event.shiftKey) return;
  event.preventDefault();
  choose(to[0], to[1], true);
});
panel.addEventListener('click', event => {
  const button = event.target.closest('[data-step]');
  if (!button) return;
  const [dp, dl] = button.dataset.step.split(',').map(Number);
  choose(chosen.p + dp, chosen.l + dl, false);
});
byId('attention').addEventListener('toggle', attention);
byId('strips').addEventListener('click', event => {
  const head = event.target.closest('.strip');
  if (!head) return;
  chosen.h = Number(head.dataset.h);
  attention();
  byId('strips').children[chosen.h].focus({preventScroll: true});
});
addEventListener('hashchange', () => {
  const to = fromAddress();
  if (to) choose(to[0], to[1], false);
});
addEventListener('resize', () => lines(cell(chosen.p, chosen.l).before,
  cell(chosen.p, chosen.l).after));

buildGrid();
const start = fromAddress() ?? [positions - 1, data.saturation[positions - 1]];
choose(start[0], start[1], false);
grid.closest('main').classList.add('ready');
})();
