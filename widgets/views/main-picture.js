const SHOWN = '.tile[data-picture=yes]:not(.self, [hidden])';

/** The picture worth a window of its own. @param {Stage} stage @returns {HTMLVideoElement|null} */
export function mainPicture({ root }) {
  return root.querySelector(`${SHOWN}[data-main] video`) ?? root.querySelector(`${SHOWN} video`);
}
