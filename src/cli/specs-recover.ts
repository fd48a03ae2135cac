import { controller, emptying } from './specs-fleet.ts';
import { spec } from './verb.ts';

export const recoverSpec = spec({
  name: 'recover',
  summary: 'start guests of dead hosts elsewhere, once those are proved off',
  details:
    'Asks a controller. Guests with the label godwit/recover=true start on a host that kept what starts them while their own ' +
    'host lived, the greatest godwit/priority first. Before that host starts one, its fencing hook proves that every host named ' +
    'here is off, and every other host answers that it does not have the guest: silence starts nothing. A description that may be out of date starts nothing either: the refusal shows its age, its disks and its number, by which --insist starts the guest all the same. A signal detaches. Exits with 0 once all run elsewhere, with 5 where some do not, with 6 where cancelled.',
  args: {
    hosts: { kind: 'host', summary: 'the hosts that are dead', required: true, repeatable: true },
  },
  flags: {
    to: emptying.to,
    dryRun: emptying.dryRun,
    insist: {
      kind: 'text',
      value: 'guest=number',
      summary:
        'start guests from descriptions that may be out of date, each by the number that the refusal showed, such as web1=0f3c9a5e21b7d846; separated by commas',
    },
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: { kind: 'switch', summary: 'start no more of their guests; what has begun goes on' },
    controller,
  },
  examples: [
    'recover a --dry-run',
    'recover a c --yes',
    'recover a --insist web1=0f3c9a5e21b7d846',
    'recover a --cancel',
  ],
  usesAgent: true,
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});
