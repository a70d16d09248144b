// SPDX-License-Identifier: GPL-3.0-or-later
// Parts of a form that belong to one choice: <div data-kind="sun"> is shown while the field "kind" is "sun".

/** Show the parts of `root` that belong to the field `name`, and hide the others, now and at each change. */
export function choose(root, name) {
  const show = () => {
    const field = root.querySelector(`[name="${name}"]:checked, select[name="${name}"]`);
    for (const part of root.querySelectorAll(`[data-${name}]`)) part.hidden = !part.dataset[name].split(" ").includes(field?.value);
  };
  root.addEventListener("change", show);
  show();
}
