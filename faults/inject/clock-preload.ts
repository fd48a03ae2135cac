/** Loaded before a program of Godwit's (NODE_OPTIONS=--import): SIGUSR2 steps the wall clock as that process sees it. */

const stepMs = Number(process.env['GODWIT_FAULTS_CLOCK_STEP_MS'] ?? 3_600_000);
const realNow = Date.now.bind(Date);
let offsetMs = 0;

globalThis.Date = new Proxy(Date, {
  construct: (target, args: unknown[], newTarget) => {
    const given = args.length === 0 ? [realNow() + offsetMs] : args;
    return Reflect.construct(target, given, newTarget) as Date;
  },
  apply: () => new Date().toString(),
  get: (target, name, receiver) =>
    name === 'now'
      ? (): number => realNow() + offsetMs
      : (Reflect.get(target, name, receiver) as unknown),
});
process.on('SIGUSR2', () => {
  offsetMs = stepMs;
});

export {};
