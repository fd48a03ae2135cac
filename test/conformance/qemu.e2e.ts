import { runConformance } from './conformance.ts';
import { makeQemuPlace, qemuPrograms } from './qemu-place.ts';

/** Every QEMU of this machine, each moving guests to one of its own version. */
const programs = await qemuPrograms();
if (programs.length === 0) throw new Error('no qemu-system-x86_64: run tools/setup.sh');

for (const program of programs) {
  runConformance({
    name: `qemu ${program.version}`,
    make: () => makeQemuPlace({ source: program.file, destination: program.file, machine: 'q35' }),
    skip: [],
  });
}
