# Completion of `runner` for bash 4 and later. In ~/.bashrc:  eval "$(runner completion bash)"
_runner() {
    local kind value help split=
    # bash splits `--format=json` into three words, and replaces only the last of them.
    [[ ${COMP_WORDS[COMP_CWORD]} == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]] && split="*="
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) COMPREPLY+=("${value#$split}") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(runner completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
}
complete -F _runner runner
