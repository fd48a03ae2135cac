/** The agent's program with the fake drivers, for it and for every process that it starts. */
import './fake-drivers.ts';

const DRIVERS = `--import=${import.meta.resolve('./fake-drivers.ts')}`;
const { NODE_OPTIONS = '' } = process.env;
// The agent begins again in the same process, with the environment that it has made itself.
if (!NODE_OPTIONS.includes(DRIVERS)) process.env['NODE_OPTIONS'] = `${NODE_OPTIONS} ${DRIVERS}`;

await import('../../../src/bin/agent.ts');
