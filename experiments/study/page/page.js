"use strict";
/* The report's plots and its panel of answers. Texts of models only ever become text nodes or escaped hover labels. */
(async function () {
  const $ = (id) => document.getElementById(id);
  const MISSING = -32768;

  /** The text of an island: base64 of gzip. */
  async function unpack(name) {
    const bytes = Uint8Array.from(atob($("island-" + name).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  let data;
  try {
    data = JSON.parse(await unpack("data"));
    const script = document.createElement("script");
    script.textContent = await unpack("plotly");
    document.head.append(script);
  } catch (problem) {
    $("status").textContent = "Plots and answers could not be shown in this browser (" + problem.message + "); the tables are complete.";
    return;
  }
  const Plotly = window.Plotly;

  const state = {
    set: Object.keys(data.sets)[0], threshold: 50, direction: data.trait, position: data.position, block: data.fixed[0],
    condition: data.conditions.includes("Inoculation") ? "Inoculation" : data.conditions.at(-1),
    against: data.conditions.includes("Neutral") ? "Neutral" : data.conditions[0],
    context: 0, picked: null, seed: data.seeds[0], colouring: "", tokenBlock: data.tokens ? data.tokens.blocks[0] : 0,
  };
  const labels = {
    trait: data.having + " →", percent: Math.round(100 * data.level) + " % intervals",
    sampled: data.contexts.length < data.total ? ` A sample of ${data.contexts.length} of ${data.total} contexts, evenly spread, so that this file stays small.` : "",
    seeds: data.seeds.length > 1 ? ` Mean over ${data.seeds.length} seeds.` : "",
  };

  // Numbers

  const decoded = new Map();
  /** 16-bit numbers as the function that gives the number at an index, or null. */
  function numbers(packed) {
    if (!decoded.has(packed)) {
      const bytes = Uint8Array.from(atob(packed.values), (c) => c.charCodeAt(0));
      decoded.set(packed, new Int16Array(bytes.buffer));
    }
    const whole = decoded.get(packed);
    return (i) => (whole[i] === MISSING || whole[i] === undefined ? null : whole[i] * packed.scale);
  }

  /** h·v of a condition at the chosen direction, position and block, for every context. */
  function projections(condition) {
    const at = numbers(data.projection[state.direction][state.position]);
    const start = (data.conditions.indexOf(condition) * data.blocks.length + data.blocks.indexOf(state.block)) * data.contexts.length;
    return data.contexts.map((_, i) => at(start + i));
  }

  const minus = (a, b) => (a === null || b === null ? null : a - b);
  const shown = (x) => (x === null || x === undefined ? "—" : (Math.abs(x) >= 1000 ? x.toFixed(0) : String(Number(x.toPrecision(3)))).replace("-", "−"));
  const hundred = (x) => (x === null ? null : 100 * x);
  const percent = (x) => (x === null ? "—" : Math.round(100 * x));
  /** A rate in percent with its interval. */
  const rated = (r) => (r[0] === null ? "no answer rated" : `${percent(r[0])} [${percent(r[1])}, ${percent(r[2])}] %`);
  /** The same small shift for the same context everywhere: points that coincide can be told apart and clicked. */
  const jitter = (i, k) => ((Math.sin(12.9898 * (i + 1) + 78.233 * k) * 43758.5453) % 1) / 3;
  /** A text as plotly shows it: its hover labels know a few tags. */
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const hover = (i, more) => plain(data.contexts[i].id) + "<br>" + plain(data.contexts[i].prompt.slice(0, 300)).replace(/(.{1,80})(\s|$)/g, "$1<br>") + more;

  // Plots

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const faded = (hex, alpha) => hex + Math.round(255 * alpha).toString(16).padStart(2, "0");

  function draw(id, traces, axes, caption) {
    const plot = $("plot-" + id), axis = { gridcolor: colour("line"), zerolinecolor: colour("dim"), linecolor: colour("line"), automargin: true };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("text"), size: 12 },
      margin: { l: 55, r: 15, t: 10, b: 45 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, hovermode: "closest",
      hoverlabel: { align: "left", bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("text") } },
      uirevision: id, ...axes, xaxis: { ...axis, ...axes.xaxis }, yaxis: { ...axis, ...axes.yaxis },
    };
    const settings = { displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg", filename: id } };
    const first = !plot.data;
    Plotly.react(plot, traces, layout, settings);
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", caption);
    $("caption-" + id).textContent = caption;
    if (!first) return;
    plot.on("plotly_click", (event) => {
      const i = event.points.map((p) => p.customdata).find(Number.isInteger);
      if (i !== undefined) choose(i);
    });
    plot.on("plotly_selected", (event) => {
      const found = event ? event.points.map((p) => p.customdata).filter(Number.isInteger) : [];
      if (found.length) pick([...new Set(found)].sort((a, b) => a - b));
    });
    plot.on("plotly_deselect", () => pick(null));
  }

  function band(x, found, name, shade, dash, more) {
    const hovered = x.map((b, i) => `${name}<br>block ${b}: ${shown(found.mean[i])} [${shown(found.low[i])}, ${shown(found.high[i])}]${more ? more(i) : ""}`);
    return [
      { x: [...x, ...[...x].reverse()], y: [...found.high, ...[...found.low].reverse()], fill: "toself", fillcolor: faded(shade, 0.2), line: { width: 0 }, hoverinfo: "skip", showlegend: false, mode: "lines" },
      { x, y: found.mean, name, mode: "lines+markers", marker: { size: 4 }, line: { color: shade, dash }, text: hovered, hoverinfo: "text" },
    ];
  }
  const upright = (block, style) => ({ type: "line", x0: block, x1: block, yref: "paper", y0: 0, y1: 1, line: { color: colour("dim"), width: 1, ...style } });
  const marks = () => [...data.fixed.map((b) => upright(b, { dash: "dot" })), upright(state.block, { width: 2 })];

  /** Opacity of each of these contexts: those outside of what was selected in a plot fade. */
  const seen = (contexts) => contexts.map((i) => (!state.picked || state.picked.includes(i) ? 0.85 : 0.12));

  /** Values of every context by condition, and the chosen context joined across them. */
  function strip(id, of, title, range, caption) {
    const traces = data.conditions.map((c, k) => {
      const values = of(c), contexts = data.contexts.map((_, i) => i).filter((i) => values[i] !== null);
      return {
        type: "scatter", mode: "markers", name: `${c} (n = ${contexts.length})`, customdata: contexts,
        x: contexts.map((i) => k + jitter(i, k)), y: contexts.map((i) => values[i]), marker: { color: data.colours[c], size: 7, opacity: seen(contexts) },
        text: contexts.map((i) => hover(i, `${c}: ${shown(values[i])}`)), hoverinfo: "text",
      };
    });
    if (!$("panel").hidden) {
      const x = data.conditions.map((_, k) => k + jitter(state.context, k));
      traces.push({ type: "scatter", mode: "lines+markers", x, y: data.conditions.map((c) => of(c)[state.context]), name: "chosen context", line: { color: colour("text"), width: 1 }, marker: { size: 11, color: "rgba(0,0,0,0)", line: { color: colour("text"), width: 2 } }, hoverinfo: "skip" });
    }
    const xaxis = { tickvals: data.conditions.map((_, k) => k), ticktext: data.conditions, zeroline: false };
    draw(id, traces, { xaxis, yaxis: { title: { text: title }, range } }, caption);
  }

  function drawRates() {
    const set = data.sets[state.set], rates = data.conditions.map((c) => set.rates[c][state.threshold]);
    const n = data.conditions.map((c) => set.ratings[c].length);
    const trace = {
      type: "bar", x: data.conditions, y: rates.map((r) => hundred(r[0])), marker: { color: data.conditions.map((c) => data.colours[c]), opacity: 0.8 },
      error_y: { type: "data", symmetric: false, array: rates.map((r) => hundred(minus(r[2], r[0]))), arrayminus: rates.map((r) => hundred(minus(r[0], r[1]))), color: colour("text") },
      text: rates.map((r, k) => `${data.conditions[k]}: ${rated(r)}, n = ${n[k]}`), hoverinfo: "text", textposition: "none",
    };
    const lost = data.conditions.map((c) => set.missing[c]).reduce((a, b) => a + b, 0);
    draw("rates", [trace], { yaxis: { title: { text: `answers above ${state.threshold}, %` }, range: [0, 100] } },
      `Share of rated answers above ${state.threshold}, with ${labels.percent} (n rated: ${data.conditions.map((c, k) => `${c} ${n[k]}`).join(", ")}; ${lost} answers have no rating) on ${set.contexts} ${set.title}.`);
    $("rates").textContent = `Rated above ${state.threshold}: ` + data.conditions.map((c, k) => `${c} ${rated(rates[k])}`).join(", ") + ".";
    $("threshold-value").textContent = state.threshold;
  }

  function drawRatings() {
    const set = data.sets[state.set];
    const traces = data.conditions.map((c, k) => {
      const values = set.ratings[c], n = values.length;
      return { x: [0, ...values, 100], y: [0, ...values.map((_, i) => (i + 1) / n), n ? 1 : null], mode: "lines", line: { shape: "hv", color: data.colours[c], dash: ["solid", "dash", "dot", "dashdot"][k % 4] }, name: `${c} (n = ${n})`, hoverinfo: "name+x+y" };
    });
    draw("ratings", traces, { xaxis: { title: { text: `rating: 0 ${data.lacking}, 100 ${data.having}` }, range: [-2, 102] }, yaxis: { title: { text: "share at or below" }, range: [0, 1.03] }, shapes: [upright(state.threshold, { dash: "dash" })] },
      `Cumulative distribution of ratings; dashed: the threshold. ${set.contexts} ${set.title}.`);
    strip("strip", (c) => data.rating[c], `rating (${labels.trait})`, [-4, 104], `Rating of each of ${data.contexts.length} out-of-distribution contexts: click one to read its answers.${labels.seeds}${labels.sampled}`);
  }

  function drawPressure() {
    const traces = [], x = data.blocks, trait = state.direction === data.trait;
    const [name] = Object.keys(data.pressure), nulls = name && trait ? data.pressure[name].nulls : {};
    for (const [family, [low, high]] of Object.entries(nulls)) {
      traces.push({ x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", mode: "lines", line: { width: 1, color: colour("dim"), dash: { isotropic: "dash", label_permuted: "dot" }[family] || "solid" }, fillcolor: family === "covariance_matched" ? faded("#888888", 0.3) : "rgba(0,0,0,0)", name: `95 % of ${family.replace("_", "-")} nulls`, hoverinfo: "skip" });
    }
    let rows = 0;
    for (const [pair, one] of Object.entries(data.pressure)) {
      const found = one.along[state.direction];
      const p = (i) => Object.entries(one.p).map(([family, values]) => `<br>p over blocks, ${family.replace("_", "-")}: ${shown(values[i])}`).join("");
      if (found) traces.push(...band(x, found, pair, data.colours[one.condition], one.against === "Neutral" ? "solid" : "dashdot", trait ? p : null));
      rows = one.rows;
    }
    draw("pressure", traces, { xaxis: { title: { text: "block" }, zeroline: false }, yaxis: { title: { text: `Δcos(∂L/∂h, ${state.direction})` } }, shapes: marks() },
      `Mean Δcos by block along ${state.direction} over n = ${rows} training rows, with ${labels.percent}. Δcos > 0 is less pressure towards the trait: training moves against the gradient. Dotted: blocks fixed beforehand; line: the chosen block.${trait ? ` Null directions: of ${name}. ${data.caution}` : ""}`);
  }

  function drawDrift() {
    const traces = [], changes = data.drift[state.direction][state.position];
    for (const c of data.conditions.filter((c) => c !== state.against)) {
      const forth = changes[`${c} − ${state.against}`], back = changes[`${state.against} − ${c}`];
      const turned = (v) => v.map((y) => (y === null ? null : -y));
      const found = forth || { mean: turned(back.mean), low: turned(back.high), high: turned(back.low) };
      traces.push(...band(data.blocks, found, `${c} − ${state.against}`, data.colours[c]));
    }
    draw("drift", traces, { xaxis: { title: { text: "block" }, zeroline: false }, yaxis: { title: { text: "Δ projection, residual-stream units" } }, shapes: marks() },
      `Mean change of h·v along ${state.direction} at ${state.position} against ${state.against}, over n = ${data.total} contexts in ${data.clusters} clusters, with ${labels.percent}.${labels.seeds} Dotted: blocks fixed beforehand; line: the chosen block. ${state.direction === data.trait ? data.caution : ""}`);
    strip("projection", projections, "h·v, residual-stream units", undefined, `h·v along ${state.direction} at ${state.position}, block ${state.block}: each point is a context, click one to read its answers.${labels.seeds}${labels.sampled}`);
  }

  function drawLink() {
    const a = projections(state.condition), b = projections(state.against);
    const x = a.map((v, i) => minus(v, b[i])), y = data.contexts.map((_, i) => minus(data.rating[state.condition][i], data.rating[state.against][i]));
    const both = data.contexts.map((_, i) => i).filter((i) => x[i] !== null && y[i] !== null), pair = `${state.condition} − ${state.against}`;
    const traces = [{
      type: "scatter", mode: "markers", customdata: both, x: both.map((i) => x[i]), y: both.map((i) => y[i] + 1.5 * jitter(i, 0)), showlegend: false,
      marker: { color: data.colours[state.condition], size: 9, opacity: seen(both) }, text: both.map((i) => hover(i, `Δ projection ${shown(x[i])}, Δ rating ${shown(y[i])}`)), hoverinfo: "text",
    }];
    const mean = (v) => v.reduce((s, t) => s + t, 0) / v.length, mx = mean(both.map((i) => x[i])), my = mean(both.map((i) => y[i]));
    const sum = (f) => both.reduce((s, i) => s + f(x[i] - mx, y[i] - my), 0), sxx = sum((p) => p * p), syy = sum((p, q) => q * q), sxy = sum((p, q) => p * q);
    const r = sxx > 0 && syy > 0 ? sxy / Math.sqrt(sxx * syy) : null;
    if (r !== null) {
      const ends = [Math.min(...both.map((i) => x[i])), Math.max(...both.map((i) => x[i]))];
      traces.push({ x: ends, y: ends.map((v) => my + (sxy / sxx) * (v - mx)), mode: "lines", line: { color: colour("text"), dash: "dash", width: 1 }, hoverinfo: "skip", showlegend: false });
    }
    if (!$("panel").hidden && both.includes(state.context)) {
      const i = state.context;
      traces.push({ x: [x[i]], y: [y[i] + 1.5 * jitter(i, 0)], mode: "markers", marker: { size: 15, color: "rgba(0,0,0,0)", line: { color: colour("text"), width: 2 } }, hoverinfo: "skip", showlegend: false });
    }
    draw("link", traces, { dragmode: "select", xaxis: { title: { text: `Δ projection (${pair}) at ${state.position}, block ${state.block}` } }, yaxis: { title: { text: "Δ rating, points (jittered)" }, range: [Math.min(-10, ...traces[0].y) - 2, Math.max(10, ...traces[0].y) + 2] } },
      `Each point is a context: ${pair} along ${state.direction}, n = ${both.length} with both ratings; r = ${shown(r)} of the points shown, dashed: least squares (intervals and p-values of r: the table below).${labels.seeds} Click a point to read its answers; drag a box, or a lasso, to keep those contexts in the panel.${labels.sampled}`);
  }

  function redraw() {
    drawRates(); drawRatings(); drawPressure(); drawDrift(); drawLink();
  }

  // The panel of answers

  function element(kind, name, text) {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /** Values of the tokens of an answer: {ends, at(token)}, or null where they were not measured. */
  function tokensOf(condition) {
    const tokens = data.tokens, row = tokens ? tokens.contexts.indexOf(data.contexts[state.context].id) : -1;
    if (row < 0 || !state.colouring || (condition !== "Base" && state.seed !== tokens.seed)) return null;
    const of = tokens.of[condition], at = numbers(of[state.colouring]), ends = of.ends[row], blocks = tokens.blocks.length;
    return { ends, at: (t) => at((row * ends.length + t) * blocks + tokens.blocks.indexOf(state.tokenBlock)) };
  }

  /** Centre and width of the colours: of all stored tokens at the block, gradients about 0. */
  function spreadOfTokens() {
    const values = [], block = data.tokens.blocks.indexOf(state.tokenBlock), count = data.tokens.blocks.length;
    for (const of of Object.values(data.tokens.of)) {
      const at = numbers(of[state.colouring]), size = of.ends.length * of.ends[0].length;
      for (let t = 0; t < size; t++) {
        const v = at(t * count + block);
        if (v !== null) values.push(v);
      }
    }
    const centre = state.colouring === "projection" ? values.reduce((s, v) => s + v, 0) / Math.max(1, values.length) : 0;
    const width = 2 * Math.sqrt(values.reduce((s, v) => s + (v - centre) ** 2, 0) / Math.max(1, values.length));
    return { centre, width: width || 1 };
  }

  function written(answer, tokens, scale) {
    const box = element("div", "text"), characters = Array.from(answer.text), flags = new Map();
    for (const [line, found] of answer.flags) if (line !== null) flags.set(line, [...(flags.get(line) || []), found]);
    let position = 0, token = 0;
    answer.text.split(/\r\n|\r|\n/).forEach((content, number) => {
      const line = element("div", flags.has(number) ? "line flagged" : "line"), end = position + Array.from(content).length;
      while (position < end) {
        while (tokens && token < tokens.ends.length && tokens.ends[token] >= 0 && tokens.ends[token] <= position) token++;
        const known = tokens && token < tokens.ends.length && tokens.ends[token] > position;
        const stop = known ? Math.min(tokens.ends[token], end) : end, piece = element("span", "", characters.slice(position, stop).join(""));
        const value = known ? tokens.at(token) : null;
        if (value !== null) {
          const z = Math.max(-1, Math.min(1, (value - scale.centre) / scale.width));
          piece.style.backgroundColor = faded(z > 0 ? "#D55E00" : "#0072B2", 0.65 * Math.abs(z));
          piece.title = `${state.colouring === "projection" ? "h·v" : "−g·v"} ${shown(value)}`;
          piece.className = "token";
        }
        line.append(piece);
        position = stop;
      }
      position = end + (characters[end] === "\r" && characters[end + 1] === "\n" ? 2 : 1);
      for (const found of flags.get(number) || []) line.append(element("span", "note", "↑ " + found));
      box.append(line);
    });
    return box;
  }

  function answerOf(condition, scale) {
    const variant = data.variants.find((v) => v.condition === condition && (v.seed === null || v.seed === state.seed));
    const answer = data.answers[variant.label][state.context], box = element("section", "answer");
    box.style.borderTopColor = data.colours[condition];
    box.dataset.condition = condition;
    box.tabIndex = 0;
    box.append(element("h4", "", variant.label));
    const above = answer.rating !== null && answer.rating > state.threshold;
    box.append(element("p", above ? "above" : "", answer.rating === null ? `no rating (${answer.status}): ${answer.reason}` : `rating ${shown(answer.rating)}${above ? `, above ${state.threshold}` : ""}: ${answer.reason}`));
    box.append(element("p", "", `h·v ${shown(projections(condition)[state.context])} (${state.direction}, ${state.position}, block ${state.block}${data.seeds.length > 1 ? ", mean over seeds" : ""})${answer.tokens === null ? "" : ` · ${answer.tokens} tokens`}${answer.cut ? ", cut at the limit" : ""}`));
    if (answer.missing) box.append(element("p", "", answer.missing));
    box.append(written(answer, tokensOf(condition), scale));
    for (const [line, found] of answer.flags) if (line === null) box.append(element("p", "above", `${found}: in code that the judge put together, not on a line of the answer`));
    return box;
  }

  function showPanel() {
    if ($("panel").hidden) return;
    const listed = state.picked || data.contexts.map((_, i) => i), asked = element("section", "answer"), context = data.contexts[state.context];
    $("context").replaceChildren(...listed.map((i) => new Option(data.contexts[i].id, i, false, i === state.context)));
    $("of").textContent = `${listed.indexOf(state.context) + 1} of ${listed.length}${state.picked ? " selected" : ""}`;
    $("everything").hidden = !state.picked;
    const scale = state.colouring && data.tokens ? spreadOfTokens() : null;
    asked.append(element("h4", "", "Prompt"), element("p", "", `cluster ${context.cluster}`), element("div", "text", context.prompt));
    asked.tabIndex = 0;
    $("answers").replaceChildren(asked, ...data.conditions.map((c) => answerOf(c, scale)));
    $("legend").textContent = legend(scale);
  }

  function legend(scale) {
    const flags = "Marked lines: flagged by the judge. ";
    if (!data.tokens) return flags + "Token colours were not measured in this run: --extensions tokens.";
    if (!state.colouring) return flags;
    if (!data.tokens.contexts.includes(data.contexts[state.context].id)) return `Token colours were measured for ${data.tokens.contexts.length} contexts; this is none of them.`;
    const what = state.colouring === "projection" ? "h·v of each token's residual" : "−g·v, the pull of training on this answer at each token";
    return `Orange: towards ${data.trait}, blue: away; ${what} at block ${state.tokenBlock}, centre ${shown(scale.centre)}, full colour ±${shown(scale.width)} (two standard deviations)${data.seeds.length > 1 ? `, seed ${data.tokens.seed}` : ""}. Hover a token for its number.`;
  }

  let opener = null;
  function choose(i) {
    if ($("panel").hidden) opener = document.activeElement;
    state.context = i;
    $("panel").hidden = false;
    document.body.classList.add("reading");
    showPanel();
    drawRatings(); drawDrift(); drawLink();
  }

  function pick(contexts) {
    state.picked = contexts;
    choose(contexts && !contexts.includes(state.context) ? contexts[0] : state.context);
  }

  function close() {
    $("panel").hidden = true;
    document.body.classList.remove("reading");
    state.picked = null;
    redraw();
    if (opener && opener.focus) opener.focus();
  }

  function step(by) {
    const listed = state.picked || data.contexts.map((_, i) => i);
    choose(listed[(listed.indexOf(state.context) + by + listed.length) % listed.length]);
  }

  // Choices

  function offer(id, values, key, read, then) {
    $(id).replaceChildren(...values.map((v) => new Option(v, v, false, v === state[key])));
    $(id).addEventListener("change", () => { state[key] = read($(id).value); then(); showPanel(); });
  }
  const same = (v) => v;

  function offerAgainst() {
    if (state.against === state.condition) state.against = data.conditions.find((c) => c !== state.condition);
    $("against").replaceChildren(...data.conditions.filter((c) => c !== state.condition).map((c) => new Option(c, c, false, c === state.against)));
  }

  offer("direction", data.directions, "direction", same, redraw);
  offer("position", data.positions, "position", same, redraw);
  offer("block", data.blocks, "block", Number, redraw);
  offer("condition", data.conditions, "condition", same, () => { offerAgainst(); redraw(); });
  offer("against", data.conditions, "against", same, redraw);
  offerAgainst();
  offer("seed", data.seeds, "seed", Number, () => {});
  offer("token-block", data.tokens ? data.tokens.blocks : [], "tokenBlock", Number, () => {});
  $("colouring").disabled = $("token-block").disabled = !data.tokens;
  $("seed-label").hidden = data.seeds.length < 2;
  $("set").replaceChildren(...Object.entries(data.sets).map(([name, set]) => new Option(set.title, name)));
  $("set").addEventListener("change", () => { state.set = $("set").value; drawRates(); drawRatings(); });
  $("threshold").addEventListener("input", () => { state.threshold = Number($("threshold").value); drawRates(); drawRatings(); showPanel(); });
  $("colouring").addEventListener("change", () => { state.colouring = $("colouring").value; showPanel(); });
  $("context").addEventListener("change", () => choose(Number($("context").value)));
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("everything").addEventListener("click", () => pick(null));
  $("close").addEventListener("click", close);
  $("browse").addEventListener("click", () => { choose(state.context); $("context").focus(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !$("panel").hidden) close(); });
  $("choices").addEventListener("submit", (event) => event.preventDefault());

  function theme(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "Light" : "Dark";
    redraw();
  }
  const prefers = window.matchMedia("(prefers-color-scheme: dark)");
  $("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
  prefers.addEventListener("change", () => theme(prefers.matches));

  for (const image of document.querySelectorAll("img[data-figure]")) {
    image.src = URL.createObjectURL(new Blob([data.figures[image.dataset.figure]], { type: "image/svg+xml" }));
  }
  theme(prefers.matches);
  $("status").remove();
  document.documentElement.dataset.ready = "yes";
})();
