import { test } from 'node:test';
import { makeContainerSite } from '../drivers/criu/trial-container.ts';
import { runConformance } from './conformance.ts';

if (process.getuid?.() !== 0)
  test('the criu driver conforms', { skip: 'CRIU and runc need root' }, () => {});
else
  runConformance({
    name: 'criu',
    make: makeContainerSite,
    skip: [
      {
        reason:
          'pages go over one stream, and by content: a page that the other end has is never sent',
        tests: [
          'moves a guest over several compressed streams',
          'moves a guest by the differences of its pages',
        ],
      },
      {
        reason:
          'nobody has measured what a container writes without reading all of its memory twice',
        tests: ['measures a running guest, which runs on'],
      },
      {
        reason: 'all page maps of a container are read before a sample of it can be',
        tests: ['samples what a guest writes, whoever holds its monitor meanwhile'],
      },
      {
        reason: 'a container whose memory is lost is started anew by who started it',
        tests: ['starts a lost guest anew, once'],
      },
    ],
  });
