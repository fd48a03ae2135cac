import { pagerSetup, servePages } from '../drivers/criu/pager/main.ts';

/** Brings a container that runs already the rest of its memory; it outlives the mover that began it. */
await servePages(pagerSetup.parse(JSON.parse(process.argv[2] ?? '')));
