import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

/** Which path memory takes depends on the processors that are free. In these tests all are, however busy the machine is. */
os.loadavg = () => [0, 0, 0];
syncBuiltinESMExports();
