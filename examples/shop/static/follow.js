// Loads the page again when there is something new to show: asks every two seconds. Without script, a page is as it was
// when it was loaded, or loads itself again.
const followed = document.getElementById("follow");

async function follow() {
  try {
    const answer = await fetch(followed.dataset.url);
    const { status } = await answer.json();
    if (status !== followed.dataset.status) return location.reload();
  } catch {
    // The shop can't be reached at the moment.
  }
  setTimeout(follow, 2000);
}

if (followed) setTimeout(follow, 2000);
