import type { Phase } from '../protocol/public/migration.ts';
import { Markup } from '../formats/html.ts';

/** Colours of phases, with most contrast between neighbours. The dashboard uses the same. */
export const PHASE_COLOURS: Readonly<Record<Phase, string>> = {
  planned: '#8b94a3',
  checking: '#6e7f96',
  seeding: '#a08a5b',
  preparing: '#4c9a8a',
  disks: '#8a6fc0',
  memory: '#3d7fd6',
  switchover: '#d6703d',
  handover: '#c9a227',
  draining: '#5aa7c9',
  verifying: '#5fa84e',
  cleanup: '#b05a86',
  undoing: '#c2564b',
  done: '#57a05f',
  rehearsed: '#7aa357',
  failed: '#b33a30',
  cancelled: '#a9812f',
  held: '#9c4fb0',
  lost: '#7c2f2a',
};

const phases = Object.entries(PHASE_COLOURS)
  .map(([phase, colour]) => `.ph-${phase} { fill: ${colour}; background: ${colour}; }`)
  .join('\n');

/** Breaks a word only if it is longer than its line, such as a path or an id. */
export const STYLE = new Markup(`
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #566070; --line: #d8dce2;
  --good: #1a7f37; --bad: #c2281d; --odd: #8a5d00; --left: #9fb0c8; --rate: #1f6feb; --dirty: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --text: #e6e9ee; --soft: #a3adba;
  --line: #303846; --good: #57c26e; --bad: #ff7b6b; --odd: #e0b040; --left: #4a5d78; --rate: #6ea8ff; --dirty: #ff9d5c; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; background: var(--back); color: var(--text);
  max-width: 960px; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.6rem; } h1 span { font-weight: 400; color: var(--soft); } h1 i { font-style: normal; white-space: nowrap; } .id { white-space: nowrap; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
header p { margin: .2rem 0; } .when { color: var(--soft); font-variant-numeric: tabular-nums; }
.done, .rehearsed, .pass { color: var(--good); } .failed, .held, .lost, .refuse { color: var(--bad); }
.cancelled, .warn, .running { color: var(--odd); } .none, small { color: var(--soft); }
.error { border-left: 3px solid var(--bad); padding-left: 1rem; } .error h2 { border: 0; color: var(--bad); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.5rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
.checks { list-style: none; padding: 0; margin: 0; } .checks li { display: grid; grid-template-columns: 4rem minmax(0, 1fr);
  padding: .2rem 0; border-bottom: 1px solid var(--line); } .checks small { display: block; }
figure { margin: 1.2rem 0 0; } figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .7rem; }
svg { width: 100%; height: 200px; display: block; } svg.phases { height: 28px; }
.plot { display: grid; grid-template-columns: 6rem minmax(0, 1fr); }
ol.y, ol.x { list-style: none; margin: 0; padding: 0; display: flex; justify-content: space-between; font-size: .8rem;
  color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
ol.y { flex-direction: column; text-align: right; padding-right: .5rem; margin: -.6rem 0; } .plot + ol.x { padding-left: 6rem; }
.legend { list-style: none; margin: .5rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; color: var(--soft); font-size: .9rem; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; } .legend b { color: var(--text); }
rect.left { fill: var(--left); } i.left { background: var(--left); }
rect.sent { fill: var(--rate); } i.sent { background: var(--rate); }
polyline, line { fill: none; vector-effect: non-scaling-stroke; } polyline { stroke-width: 2; } line.grid { stroke: var(--line); }
.rate { stroke: var(--rate); } .was { stroke: var(--soft); } i.was { background: var(--soft); }
.fits td, .fits th { white-space: normal; } td.why { white-space: normal; min-width: 16rem; } .dirtyRate { stroke: var(--dirty); } .throttle { stroke: var(--odd); }
i.rate { background: var(--rate); } i.dirtyRate { background: var(--dirty); }
line.decision { stroke: var(--text); stroke-dasharray: 4 3; } i.decision { background: var(--text); }
@media (max-width: 600px) { dl { grid-template-columns: minmax(0, 1fr); } dd { margin-bottom: .4rem; }
  .plot { grid-template-columns: 4.6rem minmax(0, 1fr); } .plot + ol.x { padding-left: 4.6rem; } }
${phases}
`);
