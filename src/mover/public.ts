/** Everything that the agent imports from movers: looks at guests, hosts and storage without a migration. */
export { askSegments } from './direct/destination/segments.ts';
export { disksLook, LOOK_MS, orNot, segmentLooks } from './shared/looks.ts';
export { answerQuestion } from './look/answer-question.ts';
export {
  checkerLine,
  question,
  type CheckDependencies,
  type CheckerLine,
  type CheckerQuestion,
  type ExaminationRequest,
  type ExaminedHost,
} from './look/questions.ts';
