package vcs

import "cmp"

// CI is what a CI system says of its job in environment variables. A clone made by it
// has a detached HEAD, so that git can't say the branch.
type CI struct {
	Name   string // of the system, for messages
	Branch string // that is built; of a pull request its source; empty: a tag, or unknown
	Base   string // that a pull request is to be merged into; else the default branch, where that is known
	Change bool   // it is a pull request: a change, whatever its branch is called; a fork's may be called main
}

// FromCI reads the variables; ok is false outside of CI. A system that nobody taught
// this program is known by CI=true alone, and says nothing.
func FromCI(getenv func(string) string) (ci CI, ok bool) {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		ci = CI{Name: "GitHub Actions", Branch: getenv("GITHUB_HEAD_REF"), Base: getenv("GITHUB_BASE_REF"), Change: getenv("GITHUB_HEAD_REF") != ""}
		if ci.Branch == "" && getenv("GITHUB_REF_TYPE") != "tag" {
			ci.Branch = getenv("GITHUB_REF_NAME")
		}
	case getenv("GITLAB_CI") == "true":
		ci = CI{
			Name:   "GitLab CI",
			Branch: cmp.Or(getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"), getenv("CI_COMMIT_BRANCH")),
			Base:   cmp.Or(getenv("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"), getenv("CI_DEFAULT_BRANCH")),
			Change: getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") != "",
		}
	case getenv("BUILDKITE") == "true":
		ci = CI{
			Name: "Buildkite", Branch: getenv("BUILDKITE_BRANCH"),
			Base:   cmp.Or(getenv("BUILDKITE_PULL_REQUEST_BASE_BRANCH"), getenv("BUILDKITE_PIPELINE_DEFAULT_BRANCH")),
			Change: getenv("BUILDKITE_PULL_REQUEST_BASE_BRANCH") != "",
		}
	case getenv("CIRCLECI") == "true":
		ci = CI{Name: "CircleCI", Branch: getenv("CIRCLE_BRANCH"), Change: getenv("CIRCLE_PULL_REQUEST") != ""}
	case getenv("JENKINS_URL") != "":
		ci = CI{Name: "Jenkins", Branch: cmp.Or(getenv("CHANGE_BRANCH"), getenv("BRANCH_NAME")), Base: getenv("CHANGE_TARGET"), Change: getenv("CHANGE_ID") != "" || getenv("CHANGE_TARGET") != ""}
	case getenv("CI") == "true" || getenv("CI") == "1":
		ci = CI{Name: "CI"}
	default:
		return CI{}, false
	}
	return ci, true
}
