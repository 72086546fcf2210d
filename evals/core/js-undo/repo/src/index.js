export { Document } from './document.js';
export { words } from './words.js';
