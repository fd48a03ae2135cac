import { judge } from './src/migration/direct/resolution.ts';
const base = { id:'m-00000001', guest:'web1', epoch:1, phase:'held', moverAlive:false } as const;
const H = ['none','running','paused','incoming','handed-over','gone','unknown'] as const;
const seen = new Map<string, number>(); const ex = new Map<string,string>();
for (const sr of ['held','armed','committing','passed','abandoned'] as const)
for (const sh of ['running','paused','handed-over','gone','unknown'] as const)
for (const post of [false,true]) for (const sc of [false,true])
for (const dr of ['none','armed','running','refused'] as const)
for (const dh of H) for (const dc of [false,true]) for (const unsure of [false,true]) for (const hasRun of [false,true]) {
  if (hasRun && dr !== 'running' && dr !== 'refused') continue;
  if (unsure && dr !== 'armed') continue;
  if (dc && !['paused','running'].includes(dh)) continue;
  if (sh==='handed-over' && !sc) continue; if (sh==='running'&&sc) continue;
  if (dr==='none' && sr!=='held' && sr!=='abandoned') continue;
  if (dr==='running' && !['committing','passed','abandoned'].includes(sr)) continue;
  if (sr==='passed' && dr!=='running' && dr!=='refused') continue;
  if (dr==='refused' && !['none','gone'].includes(dh)) continue;
  if (dr==='none' && hasRun) continue;
  const source = { ...base, host:'a', side:'source', right:sr, hypervisor:sh, complete:sc, postcopy:post, unsure:false } as const;
  const destination = { ...base, host:'b', side:'destination', right:dr, hypervisor:dh, complete:dc, postcopy:post, unsure, hasRun } as const;
  const answers = judge({ guest:'web1', from:'a', to:'b', source, destination, fleet:{ id:'m', since:undefined, uuid:undefined, sightings:[], unasked:[] } } as never);
  if (answers.every((a)=>a.verdict==='wrong')) {
    const k = answers.map((a)=>a.why).join(' || ');
    seen.set(k,(seen.get(k)??0)+1); ex.set(k, JSON.stringify({sr,sh,post,sc,dr,dh,dc,unsure,hasRun}));
  }
}
for (const [k,n] of seen) console.log(n,k,ex.get(k));
