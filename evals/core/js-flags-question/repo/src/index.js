export { isOn } from './flags.js';
export { load } from './load.js';
