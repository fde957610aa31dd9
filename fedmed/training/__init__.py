"""Features to heads: softmax regression, many heads at once as one batched product."""
