#!/usr/bin/env bash
# make-repo.sh DIR: makes the example repository in DIR, which must not exist. repo/
# is its first commit, history/ what came after. Author, committer and dates are fixed,
# so that its commits are the same everywhere.
set -euo pipefail

if [ $# -ne 1 ] || [ -e "$1" ]; then
	echo "usage: make-repo.sh DIR (a folder that isn't there yet)" >&2
	exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cp -R "$here/repo" "$1"
cd "$1"

# Nobody's settings: they could sign, rename the branch or change line ends.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_AUTHOR_NAME='Ada Example' GIT_AUTHOR_EMAIL=ada@example.com
export GIT_COMMITTER_NAME='Ada Example' GIT_COMMITTER_EMAIL=ada@example.com

at() { export GIT_AUTHOR_DATE="2026-03-$1T09:00:00+00:00" GIT_COMMITTER_DATE="2026-03-$1T09:00:00+00:00"; }
patches() {
	local n
	for n in "$@"; do
		git am --quiet --keep-cr --committer-date-is-author-date "$here/history/00$n"-*.patch
	done
}

at 02
git init --quiet --initial-branch=main
git add --all
git commit --quiet --message="teller: a network that tells stories, behind OpenAI's API"
patches 02 03 04 05 06 07 08 09 10 11

# A branch with a commit that is 30 % slower, and one that mends it.
git switch --quiet --create better-stories
patches 12 13
git switch --quiet main
at 15
git merge --quiet --no-ff --message='Merge branch better-stories' better-stories

# A branch that gates a metric with a misspelt name.
git switch --quiet --create first-token
patches 14
git switch --quiet main
