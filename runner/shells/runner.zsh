#compdef runner
# Completion of `runner` for zsh. In ~/.zshrc, after compinit:  eval "$(runner completion zsh)"
_runner() {
    local kind value help
    local -a described
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) described+=("${value//:/\\:}${help:+:$help}") ;;
            dir) _path_files -/ ;;
            file) _path_files ;;
        esac
    done < <(runner completion zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)
    (( $#described )) && _describe -t words 'runner' described
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _runner "$@" # a file of $fpath
else
    compdef _runner runner
fi
